use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal";

fn parse(text: &str) -> Result<Grants, String> {
    Grants::parse(Some(&text.replace("ROLE", ROLE)), "us-east-1").map_err(|broken| broken.to_string())
}

fn endpoints(grants: &Grants) -> Vec<(&str, &str)> {
    grants.endpoints().map(|(name, region)| (name, region.as_str())).collect()
}

#[test]
fn the_templates_own_grant_has_the_recipes_defaults() {
    let grants =
        parse(r#"[{"RoleArn":"ROLE","ExternalId":"","EndpointNames":"iris, wine,,","Region":""}]"#).expect("good");
    assert_eq!(endpoints(&grants), [("iris", "us-east-1"), ("wine", "us-east-1")]);
    let grant = grants.find(&"iris".parse().expect("a name")).expect("granted");
    assert_eq!(grant.external_id.expose(), "111122223333");
    assert_eq!(grant.role.to_string(), ROLE);
    assert!(grants.find(&"Iris".parse().expect("a name")).is_none(), "names are exact");
}

#[test]
fn several_parents_and_regions() {
    let other = ROLE.replace("1111", "5555");
    let grants = parse(&format!(
        r#"[{{"RoleArn":"ROLE","EndpointNames":["b","b"," "]}},
            {{"RoleArn":"{other}","EndpointNames":["a"],"Region":"eu-west-1","ExternalId":"tenant-1"}}]"#
    ))
    .expect("good");
    assert_eq!(endpoints(&grants), [("a", "eu-west-1"), ("b", "us-east-1")]);
    let grant = grants.find(&"a".parse().expect("a name")).expect("granted");
    assert_eq!((grant.external_id.expose(), grant.role.to_string()), ("tenant-1", other));
}

const TWO: &str = "arn:aws:iam::555522223333:role/sagemaker-external/SageMakerExternal";

/// Two parents with these endpoint names.
fn parents(first: &str, second: &str) -> Result<Grants, String> {
    parse(&format!(
        r#"[{{"RoleArn":"ROLE","EndpointNames":"{first}"}},
            {{"RoleArn":"{TWO}","EndpointNames":"{second}","Region":"eu-west-1"}}]"#
    ))
}

#[test]
fn exact_names_come_before_patterns() {
    let grants = parents("iris-*, iris-1*, wine", "iris-prod, x*").expect("no two patterns meet");
    for (name, parent) in [
        ("iris-prod", Some("5555")),
        ("iris-dev", Some("1111")),
        ("iris-12", Some("1111")),
        ("wine", Some("1111")),
        ("Iris-dev", None),
        ("wine-2", None),
    ] {
        let found = grants.find(&name.parse().expect("a name")).map(|grant| grant.role.account.id.as_str());
        assert_eq!(found.and_then(|id| id.get(..4)), parent, "{name}");
    }
}

#[test]
fn patterns_are_listed_as_patterns() {
    let grants = parents("wine-*,iris", "a-*").expect("good");
    assert_eq!(endpoints(&grants), [("iris", "us-east-1"), ("a-*", "eu-west-1"), ("wine-*", "us-east-1")]);
    let regions: Vec<_> = grants.regions().map(Region::as_str).collect();
    assert_eq!(regions, ["us-east-1", "eu-west-1"]);
}

#[test]
fn overlapping_grants_are_refused_with_both_named() {
    let sentence = |first, second| parents(first, second).err();
    assert_eq!(
        sentence("wine,iris-*", "iris-2,*-prod").as_deref(),
        Some(
            "GRANTS: grants 1 and 2 overlap: pattern \"iris-*\" of the first and pattern \"*-prod\" of the second \
             both match endpoint \"iris-prod\"; narrow one of them"
        )
    );
    assert!(sentence("*", "a*").is_some() && sentence("*", "*").is_some());
    assert!(sentence("a*", "b*").is_none());
    assert!(sentence("a*,*b,ab*", "c").is_none(), "within one grant");
}

#[test]
fn caller_attribution_is_a_flag_or_the_default() {
    let flag = |member: &str| {
        let grants = parse(&format!(r#"[{{"RoleArn":"ROLE","EndpointNames":"a"{member}}}]"#)).expect("good");
        grants.find(&"a".parse().expect("a name")).expect("granted").caller_attribution
    };
    assert_eq!(flag(""), None);
    assert_eq!(flag(r#","CallerAttribution":"""#), None);
    assert_eq!(flag(r#","CallerAttribution":null"#), None);
    for (member, on) in [("true", true), ("\"true\"", true), ("false", false), ("\"false\"", false)] {
        assert_eq!(flag(&format!(r#","CallerAttribution":{member}"#)), Some(on));
    }
}

#[test]
fn input_locations_are_bounded_where_prefixes_say_so() {
    let admits = |member: &str, location: &str| {
        let grants = parse(&format!(r#"[{{"RoleArn":"ROLE","EndpointNames":"a"{member}}}]"#)).expect("good");
        grants.find(&"a".parse().expect("a name")).expect("granted").admits_input(location)
    };
    for member in ["", r#","InputLocationPrefixes":null"#] {
        assert!(admits(member, "s3://anything/x") && admits(member, "https://host/%2e%2e/x"));
    }
    let two = r#","InputLocationPrefixes":["s3://one/team/"," s3://two "]"#;
    for (location, admitted) in
        [("s3://one/team/x", true), ("s3://two/y", true), ("s3://one/x", false), ("s3://two-evil/y", false)]
    {
        assert_eq!(admits(two, location), admitted, "{location}");
    }
}

#[test]
fn wrong_input_location_prefixes_are_refused() {
    for (prefixes, sentence) in [
        ("[]", "has no prefix in InputLocationPrefixes: leave the member out to allow every location"),
        ("\"s3://one\"", "has InputLocationPrefixes that are not a list of strings"),
        ("[7]", "has InputLocationPrefixes that are not a list of strings"),
        (
            "[\"s3://one/../two\"]",
            "is wrong: \"s3://one/../two\" is not a valid input location prefix: it must be s3://BUCKET/KEY-PREFIX/ or \
             https://HOST/PATH/ in printable ASCII characters, without any of %+?#\\ and without a part that is empty, . or ..",
        ),
    ] {
        let text = format!(r#"[{{"RoleArn":"ROLE","EndpointNames":"a","InputLocationPrefixes":{prefixes}}}]"#);
        let refused = parse(&text).err().expect(prefixes);
        assert!(refused.contains(sentence), "{refused}");
    }
}

#[test]
fn an_external_id_that_is_the_roles_account_is_known_as_such() {
    let grants = parents("a", "b").expect("good");
    let of = |grants: &Grants, name: &str| {
        grants.find(&name.parse().expect("a name")).expect("granted").is_external_id_the_account()
    };
    assert!(grants.is_several() && of(&grants, "a"));
    let chosen = parse(r#"[{"RoleArn":"ROLE","EndpointNames":"a","ExternalId":"tenant-1"}]"#).expect("good");
    assert!(!chosen.is_several() && !of(&chosen, "a"));
}

#[test]
fn what_is_odd_is_refused_in_one_sentence() {
    assert_eq!(Grants::parse(None, "us-east-1").err(), Some(Broken(" is not set".to_owned())));
    let cases = [
        ("  ", "GRANTS is not set"),
        ("{", "GRANTS must be a JSON list of grants"),
        (r#"{"RoleArn":"ROLE"}"#, "GRANTS must be a JSON list of grants"),
        ("[]", "GRANTS must hold at least one grant"),
        ("[7]", "GRANTS: grant 1 must be a JSON object"),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":"a","externalId":"x"}]"#,
            "GRANTS: grant 1 has the unknown member \"externalId\": it may have RoleArn, ExternalId, \
             EndpointNames, Region, CallerAttribution, InputLocationPrefixes",
        ),
        (r#"[{"EndpointNames":"a"}]"#, "GRANTS: grant 1 has no RoleArn"),
        (r#"[{"RoleArn":"","EndpointNames":"a"}]"#, "GRANTS: grant 1 has no RoleArn"),
        (r#"[{"RoleArn":7,"EndpointNames":"a"}]"#, "GRANTS: grant 1 has a RoleArn that is not a string"),
        (
            r#"[{"RoleArn":"arn:aws:iam::1:role/R","EndpointNames":"a"}]"#,
            "GRANTS: grant 1 is wrong: \"arn:aws:iam::1:role/R\" is not a valid role ARN: it must be of the form \
             arn:aws:iam::111122223333:role/path/NAME",
        ),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":" , "}]"#,
            "GRANTS: grant 1 names no endpoint: EndpointNames must hold at least one",
        ),
        (r#"[{"RoleArn":"ROLE"}]"#, "GRANTS: grant 1 names no endpoint: EndpointNames must hold at least one"),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":["a",1]}]"#,
            "GRANTS: grant 1 has EndpointNames that are neither a list of strings nor a comma-joined string",
        ),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":"a?"}]"#,
            "GRANTS: grant 1 is wrong: \"a?\" is not a valid endpoint name: it must be 1 to 63 ASCII letters, \
             digits and inner hyphens",
        ),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":"a,-*"}]"#,
            "GRANTS: grant 1 is wrong: \"-*\" is not a valid endpoint pattern: it must be an endpoint name of 1 to 63 \
             ASCII letters, digits and inner hyphens in which * stands for any run of them",
        ),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":"a","CallerAttribution":"yes"}]"#,
            "GRANTS: grant 1 has a CallerAttribution that is neither true nor false",
        ),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":"a"},{"RoleArn":"ROLE","EndpointNames":"b,a"}]"#,
            "GRANTS: grants 1 and 2 both name endpoint \"a\": leave it in one of them",
        ),
        (
            r#"[{"RoleArn":"ROLE","EndpointNames":"a"},{"RoleArn":"ROLE","EndpointNames":"b","Region":"*"}]"#,
            "GRANTS: grant 2 is wrong: \"*\" is not a valid region: it must be a region code such as us-east-1",
        ),
    ];
    for (text, sentence) in cases {
        assert_eq!(parse(text).err().as_deref(), Some(sentence), "{text}");
    }
    assert!(Grants::parse(Some("[{}]"), "").is_err(), "without a region of its own");
}

/// S15: no sentence repeats an ExternalId, whatever is wrong with the rest.
#[test]
fn s15_an_external_id_is_never_repeated() {
    for text in [
        r#"[{"RoleArn":"ROLE","EndpointNames":"a","ExternalId":"canary id"}]"#,
        r#"[{"RoleArn":"ROLE","EndpointNames":"a","ExternalId":["canary"]}]"#,
        r#"[{"RoleArn":"ROLE","EndpointNames":"?","ExternalId":"canary"}]"#,
        r#"["canary"]"#,
        r#"[{"ExternalId":"canary" "#,
    ] {
        let sentence = parse(text).err().expect("refused");
        assert!(!sentence.contains("canary"), "{sentence}");
    }
}
