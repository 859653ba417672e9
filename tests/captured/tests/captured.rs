//! The search for secrets itself: it finds what is planted, in every form, and a test
//! program in which a function logs one fails.
#![cfg(test)]

use std::env;
use std::process::Command;

use base64_simd::{STANDARD, URL_SAFE};
use captured::{PLANTED, leaks};

const SECRET: &str = "q/Z+ é\"canary?";

#[test]
fn s15_a_secret_is_found_in_every_form() {
    let hex = |upper: bool| -> String {
        let digits = SECRET.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect()
    };
    let framed = |before: &str| [before.as_bytes(), SECRET.as_bytes(), b"after"].concat();
    let mut written = vec![
        ("plain", SECRET.to_owned()),
        ("JSON", serde_json::to_string(&serde_json::json!({ "key": SECRET })).unwrap()),
        ("escaped", format!("{}", SECRET.escape_default())),
        ("percent-encoded", "q%2FZ%2B%20%C3%A9%22canary%3F".to_owned()),
        ("percent-encoded, lower case", "q%2fZ%2b%20%c3%a9%22canary%3f".to_owned()),
        ("percent-encoded twice", "q%252FZ%252B%2520%25C3%25A9%2522canary%253F".to_owned()),
        ("a form field", "q%2FZ%2B+%C3%A9%22canary%3F".to_owned()),
        ("hexadecimal", hex(false)),
        ("hexadecimal, upper case", hex(true)),
        ("a list of bytes", format!("{:?}", framed("before"))),
    ];
    for before in ["", "1", "22", "333", "4444"] {
        written.push(("base64", STANDARD.encode_to_string(framed(before))));
        written.push(("base64url", URL_SAFE.encode_to_string(framed(before))));
    }
    for (form, text) in written {
        let line = format!("{{\"level\":\"INFO\",\"message\":\"x {text} y\"}}");
        let found = leaks(&line, [SECRET]);
        assert_eq!(found.len(), 1, "{form}: {text}");
        // Some secrets look the same in two forms.
        assert!(found[0].form == form || form.starts_with("base64"), "{form}: {found:?}");
        assert!(!found[0].place.is_empty());
    }
}

#[test]
fn what_is_no_secret_is_not_found() {
    let line = r#"{"level":"INFO","message":"request","session":"alice@1","status":200}"#;
    assert_eq!(leaks(line, PLANTED), []);
    assert_eq!(leaks("", [SECRET]), []);
}

/// Not to be run but by the test below.
#[test]
#[ignore = "it logs a secret"]
fn planted() {
    captured::keep();
    let value = env::var("PLANTED").unwrap_or_default();
    // A handler that catches panics would hide one: nothing can catch this.
    let _ = std::panic::catch_unwind(|| tracing::trace!(target: "invoker", value, "harmless"));
}

#[test]
fn s15_a_test_program_in_which_a_secret_is_logged_fails() {
    let run = |value: &str| {
        let this = env::current_exe().unwrap();
        let output = Command::new(this).args(["--ignored", "planted"]).env("PLANTED", value).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for value in ["body-canary", "own-token", &STANDARD.encode_to_string("a session's canary")] {
        let (ok, said) = run(value);
        assert!(!ok && said.contains("planted: a secret is logged"), "{value}: {said}");
    }
    assert!(run("a plain word").0);
}
