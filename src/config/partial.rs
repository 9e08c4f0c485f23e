//! What follows from the declaration of a setting: the settings of one source, all sources together, and the
//! description for the help and the documents.

/// What the documents say of a setting.
#[derive(Debug)]
pub struct Setting {
    /// The field of [`Settings`](super::Settings), and the id of its flag. The flag `no_NAME` is its opposite.
    pub name: &'static str,
    /// The key in the file; `None` if only flags and variables have the setting.
    pub key: Option<&'static str>,
    /// The environment variable.
    pub variable: Option<&'static str>,
    /// What applies if no source has the setting.
    pub fallback: Fallback,
    /// One line of Markdown.
    pub about: &'static str,
}

/// What applies if no source has a setting.
#[derive(Debug)]
pub enum Fallback {
    /// This value, as a variable has it.
    Value(&'static str),
    /// What Markdown says.
    Words(&'static str),
}

/// Declares the settings. An entry is
///
/// ```text
/// /// One line for the documents.
/// field: Type = FALLBACK "TEXT", READER, file "KEY", variable "NAME";
/// ```
///
/// with a reader of `source.rs`, and with or without `file` and `variable`. FALLBACK is `default` (TEXT is the value, as
/// a variable has it), `empty` (the `Default` of the type) or `none` (the field is an `Option`); of these two TEXT is the
/// description. An argument of a command with the id `field` or `no_field` is its flag.
macro_rules! settings {
    ($(
        $(#[doc = $about:literal])+
        $name:ident: $type:ty = $fallback:ident $text:literal, $reader:expr
            $(, file $key:literal)? $(, variable $variable:literal)?;
    )+) => {
        /// The settings of one source; `None` if it does not have the setting.
        #[derive(Debug, Clone, Default)]
        pub struct PartialSettings {
            $($(#[doc = $about])+ pub $name: Option<$type>,)+
        }

        /// The settings of all sources together.
        #[derive(Debug, Clone)]
        pub struct Settings {
            /// The rules of the environment.
            pub policy: Policy,
            $($(#[doc = $about])+ pub $name: settings!(@type $fallback $type),)+
        }

        /// Every setting, in the order of the documents.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            key: settings!(@option $($key)?),
            variable: settings!(@option $($variable)?),
            fallback: settings!(@fallback $fallback $text),
            about: concat!($($about),+).trim_ascii(),
        }),+];

        impl PartialSettings {
            pub(super) fn read(source: &SettingSource<'_>) -> Result<Self, Failure> {
                Ok(Self {
                    $($name: source.read(
                        stringify!($name),
                        settings!(@option $($key)?),
                        settings!(@option $($variable)?),
                        $reader,
                    )?,)+
                })
            }

            /// The flags of the command that was typed whose ids are the names of settings.
            pub fn of_flags(mut matches: &clap::ArgMatches) -> Self {
                while let Some((_, below)) = matches.subcommand() {
                    matches = below;
                }
                Self::read(&SettingSource::Flags(matches)).expect("clap has read every value")
            }

            /// These settings, and those of `below` that are not among them.
            pub(super) fn over(self, below: Self) -> Self {
                Self { $($name: self.$name.or(below.$name),)+ }
            }

            /// These settings and the defaults of all others, without a policy.
            pub fn or_defaults(self) -> Settings {
                Settings {
                    policy: Policy::default(),
                    $($name: settings!(@value $fallback $text, self.$name, $reader),)+
                }
            }
        }
    };

    (@type none $type:ty) => { Option<$type> };
    (@type $other:ident $type:ty) => { $type };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
    (@fallback default $text:literal) => { Fallback::Value($text) };
    (@fallback $other:ident $text:literal) => { Fallback::Words($text) };
    (@value none $text:literal, $value:expr, $reader:expr) => { $value };
    (@value empty $text:literal, $value:expr, $reader:expr) => { $value.unwrap_or_default() };
    (@value default $text:literal, $value:expr, $reader:expr) => {
        $value.unwrap_or_else(|| {
            $reader(Written::Variable($text.as_ref())).expect("a test reads every default")
        })
    };
}

pub(super) use settings;
