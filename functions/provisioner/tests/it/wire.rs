//! IAM's wire: the query protocol in, XML out.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// A decoded form body.
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    pub fn read(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).expect("a form body");
        let decode =
            |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8().expect("UTF-8").into_owned();
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(key, value)| (decode(key), decode(value))).collect())
    }

    /// Empty when absent.
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }

    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.0.keys().cloned()
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// What is made without a path stands at the root.
    pub fn path(&self) -> String {
        Some(self.get("Path")).filter(|path| !path.is_empty()).unwrap_or("/").to_owned()
    }

    pub fn list(&self, key: &str) -> Vec<String> {
        (1..).map_while(|n| self.0.get(&format!("{key}.member.{n}")).cloned()).collect()
    }

    pub fn tags(&self) -> BTreeMap<String, String> {
        self.tag_list().into_iter().collect()
    }

    /// As sent, with whatever stands there twice.
    pub fn tag_list(&self) -> Vec<(String, String)> {
        let member = |n: u32, part: &str| self.0.get(&format!("Tags.member.{n}.{part}")).cloned();
        (1..).map_while(|n| member(n, "Key").zip(member(n, "Value"))).collect()
    }
}

pub fn text_xml(name: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<{name}>{text}</{name}>")
}

pub fn tags_xml(tags: &BTreeMap<String, String>) -> String {
    let members: String =
        tags.iter().map(|(k, v)| format!("<member>{}{}</member>", text_xml("Key", k), text_xml("Value", v))).collect();
    format!("<Tags>{members}</Tags>")
}

/// One page of a list; the marker is the index of the next item.
pub fn list_xml(name: &str, items: Vec<String>, f: &Fields, page: usize) -> String {
    let start: usize = f.get("Marker").parse().unwrap_or(0);
    let members: String = items.iter().skip(start).take(page).map(|item| format!("<member>{item}</member>")).collect();
    let more = start + page < items.len();
    let marker = if more { format!("<Marker>{}</Marker>", start + page) } else { String::new() };
    format!("<{name}>{members}</{name}><IsTruncated>{more}</IsTruncated>{marker}")
}

pub fn result_xml(action: &str, result: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
}

pub fn error_xml(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code>{}</Error><RequestId>r</RequestId></ErrorResponse>",
        text_xml("Message", message)
    )
}
