//! Alembic's configuration as Python's `configparser` reads it.

use std::collections::BTreeMap;

/// The sections of a file, those of `DEFAULT` in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ini {
    sections: BTreeMap<String, BTreeMap<String, String>>,
    defaults: BTreeMap<String, String>,
}

/// How often a value may refer to another one, as in `configparser`.
const DEPTH: usize = 10;

impl Ini {
    /// Reads a file; else what `configparser` would complain about.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ini = Self::default();
        let mut section: Option<String> = None;
        // The option that a deeper line goes on with, its indentation, and its lines so far.
        let mut open: Option<(String, Vec<String>)> = None;
        let mut indent = 0;
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            let stripped = line.trim();
            if stripped.starts_with(['#', ';']) {
                continue;
            }
            if stripped.is_empty() {
                // Part of the value, if one goes on below.
                if let Some((_, lines)) = &mut open {
                    lines.push(String::new());
                }
                continue;
            }
            let depth = line.len() - line.trim_start().len();
            if depth > indent
                && let Some((_, lines)) = &mut open
            {
                lines.push(stripped.to_owned());
                continue;
            }
            indent = depth;
            ini.close(section.as_deref(), open.take());
            if let Some(name) = header(stripped) {
                let fresh = name == "DEFAULT"
                    || ini
                        .sections
                        .insert(name.to_owned(), BTreeMap::new())
                        .is_none();
                if !fresh {
                    return Err(format!("line {number}: section {name} is there twice"));
                }
                section = Some(name.to_owned());
                continue;
            }
            let Some(section) = section.as_deref() else {
                return Err(format!("line {number}: it stands in no section"));
            };
            let (name, value) = stripped
                .split_once(['=', ':'])
                .filter(|(name, _)| !name.trim().is_empty())
                .ok_or_else(|| format!("line {number}: it is no option"))?;
            let name = name.trim_end().to_lowercase();
            if ini
                .own(section)
                .is_some_and(|known| known.contains_key(&name))
            {
                return Err(format!("line {number}: {name} is there twice"));
            }
            // Taken down at once, so that a second one is noticed.
            ini.own_mut(section).insert(name.clone(), String::new());
            open = Some((name, vec![value.trim().to_owned()]));
        }
        ini.close(section.as_deref(), open);
        Ok(ini)
    }

    fn own(&self, section: &str) -> Option<&BTreeMap<String, String>> {
        match section {
            "DEFAULT" => Some(&self.defaults),
            section => self.sections.get(section),
        }
    }

    fn own_mut(&mut self, section: &str) -> &mut BTreeMap<String, String> {
        match section {
            "DEFAULT" => &mut self.defaults,
            section => self.sections.entry(section.to_owned()).or_default(),
        }
    }

    fn close(&mut self, section: Option<&str>, open: Option<(String, Vec<String>)>) {
        if let (Some(section), Some((name, lines))) = (section, open) {
            let value = lines.join("\n").trim_end().to_owned();
            self.own_mut(section).insert(name, value);
        }
    }

    /// An option of a section with what it refers to put in. `here` is the folder of the file.
    pub fn get(&self, section: &str, name: &str, here: &str) -> Result<Option<String>, String> {
        if !self.sections.contains_key(section) {
            return Ok(None);
        }
        self.raw(section, name, here)
            .map(|raw| self.interpolated(section, name, &raw, here, 1))
            .transpose()
    }

    fn raw(&self, section: &str, name: &str, here: &str) -> Option<String> {
        let own = self.sections.get(section).and_then(|own| own.get(name));
        own.or_else(|| self.defaults.get(name))
            .cloned()
            .or_else(|| (name == "here").then(|| here.to_owned()))
    }

    fn interpolated(
        &self,
        section: &str,
        name: &str,
        raw: &str,
        here: &str,
        depth: usize,
    ) -> Result<String, String> {
        if depth > DEPTH {
            return Err(format!("{name} refers to too many others in turn"));
        }
        interpolate(raw, |other| {
            let other = other.to_lowercase();
            let raw = self
                .raw(section, &other, here)
                .ok_or_else(|| format!("{name} refers to {other}, which is not there"))?;
            if raw.contains('%') {
                self.interpolated(section, &other, &raw, here, depth + 1)
            } else {
                Ok(raw)
            }
        })
    }
}

/// Puts in values for `%(name)s`, and `%` for `%%`.
pub fn interpolate(
    text: &str,
    value: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        done.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            done.push('%');
            rest = after;
            continue;
        }
        let (name, after) = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(")s"))
            .ok_or_else(|| format!("a % of {text:?} means nothing"))?;
        done.push_str(&value(name)?);
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}

fn header(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('[')?;
    let end = inside.rfind(']')?;
    (end > 0).then(|| &inside[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str, name: &str) -> Result<Option<String>, String> {
        Ini::parse(text)?.get("alembic", name, "/here")
    }

    #[test]
    fn as_configparser_reads_it() {
        let text = "# a comment\n[DEFAULT]\nroot = /r%%\n\n[alembic]\nscript_location = %(here)s/m\n\
                    Version_Locations: %(root)s/a\n    # not this\n    %(script_location)s/b\n\n    c\n\
                    path_separator = newline  ; no comment\nempty =\n[other]\nx = 1\n";
        let text_of = |name: &str| get(text, name).unwrap();
        assert_eq!(text_of("script_location").unwrap(), "/here/m");
        assert_eq!(
            text_of("version_locations").unwrap(),
            "/r%/a\n/here/m/b\n\nc"
        );
        assert_eq!(text_of("path_separator").unwrap(), "newline  ; no comment");
        assert_eq!(text_of("empty").unwrap(), "");
        assert_eq!(text_of("x"), None);
        assert_eq!(
            Ini::parse(text).unwrap().get("none", "root", "/").unwrap(),
            None
        );
    }

    #[test]
    fn what_configparser_refuses() {
        for (text, reason) in [
            ("a = 1", "line 1: it stands in no section"),
            ("[alembic]\nnonsense", "line 2: it is no option"),
            ("[alembic]\n= 1", "line 2: it is no option"),
            ("[alembic]\na = 1\nA = 2", "line 3: a is there twice"),
            (
                "[alembic]\n[alembic]",
                "line 2: section alembic is there twice",
            ),
            ("[alembic]\na = 50%", "a % of \"50%\" means nothing"),
            ("[alembic]\na = %(b)s", "a refers to b, which is not there"),
            (
                "[alembic]\na = %(a)s",
                "a refers to too many others in turn",
            ),
        ] {
            assert_eq!(get(text, "a").unwrap_err(), reason, "{text}");
        }
    }
}
