use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

fn here() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn to_write(path: &Path) -> io::Result<File> {
    own(path, OpenOptions::new().create(true).append(true))
}

/// Red when a link, a second name, a FIFO or a folder is opened as a file of our own.
#[test]
fn what_is_no_ordinary_file_of_ours_is_refused_and_left_as_it_is() {
    let here = here();
    let victim = here.path().join("victim");
    fs::write(&victim, "text").unwrap();
    let at = |name: &str| here.path().join(name);
    symlink(&victim, at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(at("folder")).unwrap();
    for (name, reason) in [
        ("link", "it is a link"),
        ("dangling", "it is a link"),
        ("fifo", "it is not an ordinary file"),
        ("folder", "is a directory"),
    ] {
        for error in [
            to_write(&at(name)).unwrap_err(),
            anybodys(&at(name), OpenOptions::new().read(true).write(true)).unwrap_err(),
            read_own(&at(name)).unwrap_err(),
        ] {
            let told = error.to_string().to_lowercase();
            assert!(told.contains(reason), "{name}: {told}");
        }
    }
    assert!(!at("nowhere").exists());
    fs::hard_link(&victim, at("second")).unwrap();
    let error = to_write(&at("second")).unwrap_err().to_string();
    assert_eq!(error, "it has a second name (a hard link)");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "text");
}

/// Red when a new file goes through a link, or is made with rights for others.
#[test]
fn a_new_file_replaces_a_link_and_not_what_it_leads_to() {
    let here = here();
    let (victim, link) = (here.path().join("victim"), here.path().join("link"));
    fs::write(&victim, "text").unwrap();
    symlink(&victim, &link).unwrap();
    assert_eq!(
        create(&link).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    let file = emptied(&link).unwrap();
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    assert!(is_at(&file, &link));
    assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "text");
}

/// Red when reading a FIFO or a device waits, or a link of the user's is refused.
#[test]
fn a_users_file_may_be_a_link_and_has_to_be_a_file() {
    let here = here();
    let (file, link, fifo) = (
        here.path().join("file"),
        here.path().join("link"),
        here.path().join("fifo"),
    );
    fs::write(&file, "text").unwrap();
    symlink(&file, &link).unwrap();
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    assert_eq!(read_text(&link).unwrap(), "text");
    for path in [fifo.as_path(), Path::new("/dev/zero")] {
        let error = read_text(path).unwrap_err().to_string();
        assert_eq!(error, "it is not an ordinary file");
    }
}

#[test]
fn a_folder_of_ours_is_a_real_one() {
    let here = here();
    let (real, link) = (here.path().join("a/b"), here.path().join("link"));
    folder(&real).unwrap();
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o700);
    symlink(&real, &link).unwrap();
    assert_eq!(folder(&link).unwrap_err().to_string(), "it is a link");
    named_folder(&link).unwrap();
}

/// Root may give files away, and tries that here; others cannot, and have no such file to try.
#[test]
fn a_file_of_another_user_is_not_ours() {
    if !geteuid().is_root() {
        return;
    }
    let here = here();
    let other = here.path().join("other");
    fs::write(&other, "text").unwrap();
    std::os::unix::fs::chown(&other, Some(4711), None).unwrap();
    let error = to_write(&other).unwrap_err().to_string();
    assert_eq!(error, "it belongs to another user");
    let file = anybodys(&other, OpenOptions::new().read(true)).unwrap();
    assert!(!may_write(&file, &other).unwrap());
    // Whoever owns the folder is trusted by root, which runs the code in it.
    std::os::unix::fs::chown(here.path(), Some(4711), None).unwrap();
    to_write(&other).unwrap();
}
