use super::*;
use proptest::prelude::*;
use serde_json::json;

const ACCOUNT: &str = "111122223333";
const DASHED: &str = "1111-2222-3333";

#[test]
fn s16_owners_are_hidden_in_a_services_text() {
    for (text, shown) in [
        ("Endpoint iris of account 111122223333 not found.", "Endpoint iris of account [hidden] not found."),
        ("(arn:aws:iam::111122223333:role/R) is wrong", "([hidden]) is wrong"),
        ("see:arn:aws:x:::y, and account=111122223333.", "see:[hidden], and account=[hidden]."),
        ("account=111122223333/arn:aws:iam::111122223333:role/R", "account=[hidden]/[hidden]"),
        ("ARN:AWS:IAM::111122223333:ROLE/R failed", "[hidden] failed"),
        ("role=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2FR failed", "role=[hidden] failed"),
        ("role=arn%253aaws%253aiam%253a%253a111122223333 failed", "role=[hidden] failed"),
        ("{\"arn\":\"arn\\u003aaws:iam::111122223333:role/R\"}", "{\"arn\":\"[hidden]\"}"),
        ("{\\\"AccountId\\\":\\\"111122223333\\\",\\\"x\\\":1}", "{\\\"AccountId\\\":\\\"[hidden]\\\",\\\"x\\\":1}"),
        ("account 1111-2222-3333.", "account [hidden]."),
        ("account 1111\u{2011}2222\u{2011}3333.", "account [hidden]."),
        ("account%20111122223333%20or%201111-2222-3333", "account%20[hidden]%20or%20[hidden]"),
        ("\\u0022111122223333\\u0022", "\\u0022[hidden]\\u0022"),
        ("sagemaker-us-east-1-111122223333", "sagemaker-us-east-1-[hidden]"),
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com", "[hidden].dkr.ecr.us-east-1.amazonaws.com"),
        ("account%201111%2D2222%2d3333", "account%20[hidden]"),
        ("account 1111%252D2222%E2%80%933333.", "account [hidden]."),
        ("{\\\"a\\\":\\\"1111\\\\u20132222\\u002D3333\\\"}", "{\\\"a\\\":\\\"[hidden]\\\"}"),
        ("arn:aws:iam::111122223333:role/team,prod, or another", "[hidden], or another"),
        ("é 111122223333é", "é [hidden]é"),
        ("", ""),
    ] {
        assert_eq!(hide_owners(text), shown);
    }
}

/// Dates, times, sizes, ids and words that begin like an ARN are nobody's account.
#[test]
fn ordinary_text_passes_unchanged() {
    for text in [
        "1 error at 12:34, id 1234567890123 and 12345678901",
        "2026-11-28T12:34:56.123456Z, epoch 1795862096 or 1795862096123",
        "request 8476a536-1111-2222-3333-2dfe598c3fcd took 1024 2048 4096 bytes",
        "warn: learn: barn:yard %41rn is no account of 12 digits: 11112222333",
        "request 8476a536-7b61-11e6-9a41-111122223333 and digest d41d8cd98f00b204e111122223333abc",
        "card 1111-2222-3333-4444 or 1111-2222-3333-4444-5555",
        "call 555-1234-5678, 1111-2222-33333 or 11111-2222-3333",
        "100%: 20 % of 30%20items",
    ] {
        assert_eq!(hide_owners(text), text);
    }
}

#[test]
fn s16_numbers_and_account_members_are_hidden_too() {
    let members = json!({
        "Message": "m", "Count": 12, "Time": 1_795_862_096_123_u64, "Ratio": 0.5, "AccountName": "team-7",
        "MaxEndpointsPerAccount": 20, "Account": { "Id": 1_122_223_333, "Name": "team-7" },
        "Number": 111_122_223_333_u64, "Float": 111_122_223_333.0,
        "AccountId": 1_122_223_333, "account_id": "001122223333", "OwnerAccount": "11 22223333", "Accounts": [7, "8"],
        "Deep": { "List": [{ "AwsAccountId": "1122223333" }, 111_122_223_333_u64] },
        "111122223333": true,
    });
    let hidden = json!({
        "Message": "m", "Count": 12, "Time": 1_795_862_096_123_u64, "Ratio": 0.5, "AccountName": "team-7",
        "MaxEndpointsPerAccount": 20, "Account": { "Id": "[hidden]", "Name": "team-7" },
        "Number": "[hidden]", "Float": "[hidden]",
        "AccountId": "[hidden]", "account_id": "[hidden]", "OwnerAccount": "[hidden]",
        "Accounts": ["[hidden]", "[hidden]"],
        "Deep": { "List": [{ "AwsAccountId": "[hidden]" }, "[hidden]"] },
        "[hidden]": true,
    });
    let Value::Object(members) = members else { panic!("no object") };
    assert_eq!(Value::Object(hide_in_members(&members)), hidden);
}

/// What percent-encodes each of these characters, so often.
fn encoded(text: &str, times: usize) -> String {
    let mut text = text.to_owned();
    for _ in 0..times {
        text = text.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('=', "%3D").replace('-', "%2D");
    }
    text
}

/// The ways in which an account, or an ARN of it, can be written.
fn spelling() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        Just(ACCOUNT.to_owned()),
        Just(DASHED.to_owned()),
        Just(DASHED.replace('-', "\u{2013}")),
        "(arn|Arn|ARN):(aws|aws-cn|AWS|aws-us-gov):[a-z]{2,9}:[a-z0-9-]{0,9}:111122223333:[a-zA-Z/*_.-]{0,12}",
        "arn:aws:s3:::sagemaker-us-east-1-111122223333/[a-z]{0,9}",
        "(account|AccountId|acct|owner)[=:#/ ]{1,2}111122223333",
        "\\{\"AccountId\": ?\"?111122223333\"?\\}",
        "111122223333[./:,;@]arn:aws:iam::111122223333:role/R",
    ];
    (plain, 0..4usize).prop_map(|(plain, times)| encoded(&plain, times))
}

/// What may stand beside it: words, and escapes whose last character is a digit.
fn beside() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^0-9]{0,9}",
        "[a-z ]{0,9}(%20|%3D|%0A|%22|%2520|%25253A|%C2%A0|\\\\u0022|\\\\x22|\\\\n|&#34;)",
        "[a-z]{0,5}(=|: |/|-|_|\\.|\"|'|\\()",
    ]
}

proptest! {
    #[test]
    fn s16_no_account_passes_however_and_wherever_it_stands(
        before in beside(), spelled in spelling(), after in "(%20|%22|\\\\u0022|[^0-9])?[^0-9]{0,9}",
    ) {
        let shown = hide_owners(&format!("{before}{spelled}{after}"));
        for owner in [ACCOUNT, DASHED, "2222\u{2013}3333"] {
            prop_assert!(!shown.contains(owner), "{}", shown);
        }
        prop_assert!(!shown.to_ascii_lowercase().contains("arn:aws"), "{}", shown);
    }

    /// Nothing but what is hidden changes.
    #[test]
    fn what_has_no_owner_is_unchanged(text in "[^0-9]{0,40}|[a-z0-9 .,:=%-]{0,11}") {
        prop_assume!(!text.to_ascii_lowercase().contains("arn"));
        prop_assert_eq!(hide_owners(&text), text);
    }

    /// The text around an account stays, whatever it is.
    #[test]
    fn s16_the_text_around_an_account_stays(before in "[^0-9]{0,9}[ =(]", after in "[ .)][^0-9]{0,9}") {
        prop_assume!(![&before, &after].iter().any(|text| text.to_ascii_lowercase().contains("arn")));
        prop_assert_eq!(hide_owners(&format!("{before}{ACCOUNT}{after}")), format!("{before}[hidden]{after}"));
    }
}
