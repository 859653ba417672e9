//! AssumeRole: who asks for whom, and how it is met.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bench::http::{Connection, Head};
use percent_encoding::percent_decode_str;

use crate::backend::{After, OWN_KEY, OWN_TOKEN, Shared, key, read_body, signing_key, stream_write, token};
use crate::plan::{Plan, Sts};

pub const EXTERNAL_ID: &str = "external-id-canary";
pub const PARENT: &str = "111122223333";
/// Far below an attempt's five seconds.
const SLOW: Duration = Duration::from_millis(400);

pub(crate) fn answer(
    shared: &Shared,
    connection: &mut Connection,
    stream: &Arc<TcpStream>,
    head: &Head,
) -> io::Result<After> {
    let form = read_body(connection, head)?;
    let form = String::from_utf8_lossy(&form).replace('+', "%20");
    let field = |name: &str| -> String {
        let found = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        percent_decode_str(found.unwrap_or_default()).decode_utf8_lossy().into_owned()
    };
    let session = field("RoleSessionName");
    let number = session.rsplit('-').next().and_then(|id| u64::from_str_radix(id, 16).ok()).unwrap_or(u64::MAX);
    let Some(plan) = shared.plan(number) else {
        shared.note(number, |trace| trace.wrong.push(format!("AssumeRole for {session}, which nobody asked for")));
        return Ok(After::Close);
    };
    let mut wrong = Vec::new();
    let resource = format!("[\"arn:aws:sagemaker:us-east-1:{PARENT}:endpoint/{}\"", plan.endpoint);
    for (holds, what) in [
        (signing_key(head) == Some(OWN_KEY), "is not signed with the function's own key"),
        (head.header("x-amz-security-token") == Some(OWN_TOKEN), "has not the function's own token"),
        (session == format!("{}@{}", plan.caller(), plan.id()), "names another caller or request"),
        (field("ExternalId") == EXTERNAL_ID, "has not the grant's ExternalId"),
        (field("Policy").contains(&resource), "has a session policy for another endpoint"),
    ] {
        if !holds {
            wrong.push(format!("an AssumeRole {what}"));
        }
    }
    let mut attempt = 0;
    shared.note(number, |trace| {
        trace.wrong.append(&mut wrong);
        attempt = trace.sts.len();
    });
    let met = met(plan.sts, attempt);
    shared.note(number, |trace| trace.sts.push(met));
    meet(met, plan, stream)
}

/// What an attempt, counted from 0, meets.
fn met(sts: Sts, attempt: usize) -> Sts {
    match sts {
        Sts::ThrottledOnce | Sts::ResetOnce | Sts::FailingOnce | Sts::CutOnce if attempt > 0 => Sts::Well,
        other => other,
    }
}

fn meet(met: Sts, plan: &Plan, stream: &Arc<TcpStream>) -> io::Result<After> {
    let error = |status: u16, code: &str| {
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>message-canary arn:aws:iam::{PARENT}:role/R {EXTERNAL_ID}</Message></Error>\
             <RequestId>0c5a5a2c-3c36-4a5c-8a3f-2d1b1a1c7c11</RequestId></ErrorResponse>"
        );
        stream_write(stream, whole(status, &body).as_bytes()).map(|()| After::Keep)
    };
    match met {
        Sts::Well => stream_write(stream, whole(200, &credentials(plan.number)).as_bytes()).map(|()| After::Keep),
        Sts::Slow => {
            thread::sleep(SLOW);
            stream_write(stream, whole(200, &credentials(plan.number)).as_bytes()).map(|()| After::Keep)
        }
        Sts::ThrottledOnce | Sts::Throttled => error(400, "Throttling"),
        Sts::ResetOnce | Sts::Reset => Ok(After::Reset),
        Sts::FailingOnce | Sts::Failing => error(500, "InternalFailure"),
        Sts::CutOnce => {
            let whole = whole(200, &credentials(plan.number));
            stream_write(stream, whole.as_bytes().get(..whole.len() - 40).unwrap_or_default())?;
            Ok(After::Close)
        }
        Sts::Garbage => {
            stream_write(stream, whole(200, "\u{1}\u{2}<<<>&garbage-canary").as_bytes()).map(|()| After::Keep)
        }
        Sts::Denied => error(403, "AccessDenied"),
        Sts::Silent => Ok(After::Silence),
    }
}

fn whole(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// They outlive any run.
fn credentials(number: u64) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{}</AccessKeyId><SecretAccessKey>secret-canary-{number}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>",
        key(number),
        token(number)
    )
}
