//! The names of environments.

/// How many letters may be wrong for a name to be taken for another one.
const SLIP: usize = 2;

/// A name as it is compared: `Production` is `production`.
pub fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Whether an environment is one where mistakes are dear: `production`, `prod`, and what begins with either
/// word, such as `prod-eu`.
pub fn is_production(name: &str) -> bool {
    let name = normal(name);
    let first = name.split(|letter: char| !letter.is_alphanumeric()).next();
    matches!(first, Some("production" | "prod"))
}

/// The name that was meant by one that is nearly `production`.
pub fn misspelt_production(name: &str) -> Option<&'static str> {
    let near =
        !is_production(name) && strsim::damerau_levenshtein(&normal(name), "production") <= SLIP;
    near.then_some("production")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_has_several_names() {
        for name in [
            "production",
            "prod",
            "Production",
            " PROD ",
            "prod-eu",
            "production_2",
        ] {
            assert!(is_production(name), "{name}");
            assert_eq!(misspelt_production(name), None, "{name}");
        }
        for name in [
            "staging",
            "pre-production",
            "nonprod",
            "product",
            "dev",
            "",
            "productive",
        ] {
            assert!(!is_production(name), "{name}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_no_other_environment() {
        for name in ["prodution", "produciton", "Prodcution", "productoin"] {
            assert_eq!(misspelt_production(name), Some("production"), "{name}");
        }
        for name in ["staging", "preproduction", "dev", "test"] {
            assert_eq!(misspelt_production(name), None, "{name}");
        }
    }
}
