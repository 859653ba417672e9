use super::*;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

fn answer(result: &str) -> String {
    format!("<AssumeRoleResponse xmlns=\"{NAMESPACE}\">{result}</AssumeRoleResponse>")
}

fn members(of: &[(&str, &str)]) -> String {
    of.iter().map(|(name, text)| format!("<{name}>{text}</{name}>\n ")).collect()
}

const ALL: [(&str, &str); 4] = [
    ("Expiration", "2099-01-01T00:00:00Z"),
    ("SessionToken", "a&#43;b&amp;c=="),
    ("AccessKeyId", "ASIA"),
    ("SecretAccessKey", "s/+"),
];

#[test]
fn credentials_are_read_in_any_order_and_escape() {
    let other = "<AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><PackedPolicySize>6</PackedPolicySize>";
    let inner = format!("<AssumeRoleResult>{other}<Credentials>{}</Credentials></AssumeRoleResult>", members(&ALL));
    let xml = format!("<?xml version=\"1.0\"?>\n{}", answer(&inner));
    let given = credentials(&xml).expect("credentials");
    assert_eq!((given.access_key_id(), given.secret_access_key()), ("ASIA", "s/+"));
    assert_eq!(given.session_token(), Some("a+b&c=="));
    assert!(given.expiry().is_some_and(|expiry| expiry > SystemTime::now()));
}

#[test]
fn credentials_that_are_not_whole_are_none() {
    for missing in 0..ALL.len() {
        let three: Vec<_> = (0..ALL.len()).filter(|&n| n != missing).map(|n| ALL[n]).collect();
        let inner = format!("<AssumeRoleResult><Credentials>{}</Credentials></AssumeRoleResult>", members(&three));
        let xml = answer(&inner);
        assert!(credentials(&xml).is_none() && is_an_answer(&xml), "{xml}");
    }
    let empty = [ALL[0], ALL[1], ALL[2], ("SecretAccessKey", "")];
    let empty = answer(&format!("<AssumeRoleResult><Credentials>{}</Credentials></AssumeRoleResult>", members(&empty)));
    let elsewhere = answer(&format!("<Other><Credentials>{}</Credentials></Other>", members(&ALL)));
    for xml in ["", "<html>", "<AssumeRole", "not XML", "<ErrorResponse/>", &empty, &elsewhere] {
        assert!(credentials(xml).is_none(), "{xml}");
    }
    assert!(!is_an_answer("<html><body>Log in</body></html>"));
}

/// No code, and so nothing to log.
const SENTENCE: &str = "<ErrorResponse><Error><Code>body-canary of somebody</Code></Error></ErrorResponse>";

#[test]
fn r09_the_code_of_an_error_is_found() {
    for (xml, wanted) in [
        (
            "<ErrorResponse><Error><Type>Sender</Type><Code> AccessDenied\n</Code></Error></ErrorResponse>",
            "AccessDenied",
        ),
        ("<e:ErrorResponse xmlns:e=\"x\"><e:Error><e:Code>A</e:Code></e:Error></e:ErrorResponse>", "A"),
    ] {
        assert_eq!(code(xml).as_deref(), Some(wanted), "{xml}");
    }
    for xml in
        ["", "<ErrorResponse><RequestId>r</RequestId></ErrorResponse>", "<Code>Throttling</Code>", "gateway", SENTENCE]
    {
        assert_eq!(code(xml), None, "{xml}");
    }
}
