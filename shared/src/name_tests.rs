use super::*;
use proptest::prelude::*;

/// S06: every trick that widens, escapes or splits a name is refused.
#[test]
fn s06_endpoint_name_tricks_are_refused() {
    let long = "a".repeat(64);
    let tricks = [
        "",
        "*",
        "a*",
        "a?",
        "${aws:username}",
        "a/../b",
        "a:b",
        "..",
        "-a",
        "a-",
        "a\n",
        "a\0",
        "a b",
        "é",
        "٣",
        &long,
    ];
    for trick in tricks {
        assert!(trick.parse::<EndpointName>().is_err(), "{trick:?} was accepted");
    }
    for good in ["a", "Iris-2", "a--b", &"a".repeat(63)] {
        assert_eq!(good.parse::<EndpointName>().map(|n| n.to_string()).as_deref(), Ok(good));
    }
}

/// S08: names and paths cannot smuggle a segment into an ARN.
#[test]
fn s08_iam_names_and_paths_are_anchored() {
    for bad in ["foo/../../admin", "", "a b", "a\n", "é", &"r".repeat(65), "AWSServiceRoleForX"] {
        assert!(bad.parse::<RoleName>().is_err(), "{bad:?} was accepted");
    }
    for bad in
        ["", "a", "/a", "a/", "//", "/a//b/", "/a*/", "/a!/", "/aws-service-role/x/", &format!("/{}/", "p".repeat(511))]
    {
        assert!(bad.parse::<IamPath>().is_err(), "{bad:?} was accepted");
    }
    for good in ["/", "/sagemaker-external/", "/a/b.c,d+e@f=g_h-i/", &format!("/{}/", "p".repeat(510))] {
        assert!(good.parse::<IamPath>().is_ok(), "{good:?} was refused");
    }
}

#[test]
fn a_refusal_is_one_sentence_that_names_value_and_rule() {
    let error = "a\nb*".parse::<EndpointName>().map(|_| String::new()).unwrap_or_else(|e| e.to_string());
    assert_eq!(
        error,
        "\"a\\nb*\" is not a valid endpoint name: it must be 1 to 63 ASCII letters, digits and inner hyphens"
    );
}

/// S03: an ExternalId shows in no message, valid or not.
#[test]
fn s03_external_id_is_never_shown() {
    let valid: Result<ExternalId, _> = "tenant-secret-42".parse();
    assert!(!format!("{valid:?}").contains("tenant-secret-42"));
    let invalid: Result<ExternalId, _> = "tenant secret 42".parse();
    assert!(!format!("{invalid:?}").contains("tenant secret"));
    assert!(invalid.is_err_and(|e| !e.to_string().contains("tenant secret")));
}

#[test]
fn capitals_have_two_spellings() {
    let spellings = |name: &str| name.parse::<EndpointName>().map(|n| n.spellings().collect::<Vec<_>>());
    assert_eq!(spellings("Iris"), Ok(vec!["Iris".to_owned(), "iris".to_owned()]));
    assert_eq!(spellings("iris"), Ok(vec!["iris".to_owned()]));
}

proptest! {
    #[test]
    fn what_parses_prints_back_and_holds_no_wildcard(text in "\\PC{0,70}") {
        if let Ok(name) = text.parse::<EndpointName>() {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        }
        if let Ok(path) = text.parse::<IamPath>() {
            prop_assert!(path.as_str().starts_with('/') && path.as_str().ends_with('/'));
        }
    }

    #[test]
    fn the_models_own_language_is_accepted(text in "[a-zA-Z0-9](-{0,3}[a-zA-Z0-9]){0,15}") {
        prop_assert_eq!(text.len() <= 63, text.parse::<EndpointName>().is_ok());
    }
}
