//! Request headers alone: a first byte for the operation, then lines of `Name: value`,
//! of which those that begin with `!` stand in the second of the event's two maps.

use bytes::Bytes;
use invoker::event::Event;
use invoker::form::Form;
use invoker::operation::Operation;
use serde_json::{Map, Value, json};

use crate::api_gateway::invoked;

pub(crate) fn event(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let operation = Operation::ALL[usize::from(*first) % Operation::ALL.len()];
    let (mut single, mut multiple) = (Map::new(), Map::new());
    // A line may hold any character but its own end, which `\r` and `\x0b` are not here.
    for line in text.split('\n') {
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name.strip_prefix('!') {
            None => drop(single.insert(name.to_owned(), json!(value))),
            Some(name) => match multiple.entry(name).or_insert_with(|| json!([])) {
                Value::Array(values) => values.push(json!(value)),
                _ => unreachable!("only lists are put there"),
            },
        }
    }
    let accept = single.get("Accept").and_then(Value::as_str).map(str::to_owned);
    let event = json!({
        "httpMethod": "POST",
        "resource": format!("/endpoints/{{name}}{}", operation.path()),
        "path": format!("/endpoints/iris{}", operation.path()),
        "pathParameters": { "name": "iris" },
        "headers": single,
        "multiValueHeaders": multiple,
        "body": if operation == Operation::InvokeEndpointAsync { "" } else { "MSwy" },
        "isBase64Encoded": true,
    });
    let json = event.to_string();
    let json = Bytes::from(json);
    let read = Event::read(&json).expect("an event");
    invoked(&read, &json, operation, Some(&event));
    // Whatever is accepted, there is a form.
    let _ = Form::of_stream(accept.as_deref());
}
