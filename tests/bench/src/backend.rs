//! STS and SageMaker Runtime for one environment, answering at once. Each AssumeRole
//! gives out new keys, and a model call must be signed with the newest ones.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use rustls::ServerConfig;

use crate::Result;
use crate::events::{Event, PART, Route};
use crate::http::{Connection, Head};
use crate::server::Server;

/// The function's own key, which AssumeRole must be signed with.
pub const OWN_KEY: &str = "ASIAOWNKEYOFTHEFUNCT";
/// How long the model waits for its first part to be delivered.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an environment has asked for so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub connections: usize,
    pub assumed: usize,
    pub invoked: usize,
}

pub struct Backend {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    delivered: Condvar,
}

#[derive(Default)]
struct State {
    event: Option<Arc<Event>>,
    assumed: usize,
    invoked: usize,
    /// The first part of the answer that is being streamed has arrived.
    delivered: bool,
    failure: Option<String>,
}

impl Backend {
    /// # Errors
    /// When there is no free port.
    pub fn start(tls: Option<&Arc<ServerConfig>>) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let server = Server::start(tls, move |mut connection| {
            while let Ok(Some(head)) = connection.head() {
                if serving.serve(&mut connection, &head).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { server, shared })
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn url(&self, is_tls: bool) -> String {
        format!("{}://{}", if is_tls { "https" } else { "http" }, self.server.address)
    }

    /// What is asked from now on.
    pub fn expect(&self, event: &Arc<Event>) {
        lock(&self.shared.state).event = Some(Arc::clone(event));
    }

    pub fn tally(&self) -> Tally {
        let state = lock(&self.shared.state);
        Tally { connections: self.server.accepted(), assumed: state.assumed, invoked: state.invoked }
    }

    /// The first request that was not as it should be.
    pub fn failure(&self) -> Option<String> {
        lock(&self.shared.state).failure.clone()
    }

    /// To be called when the first part of an answer has arrived.
    pub fn deliverer(&self) -> impl Fn() + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || {
            lock(&shared.state).delivered = true;
            shared.delivered.notify_all();
        }
    }
}

impl Shared {
    fn serve(&self, connection: &mut Connection, head: &Head) -> io::Result<()> {
        match (head.method.as_str(), head.path.as_str()) {
            ("POST", "/") => self.assume_role(connection, head),
            ("POST", path) if path.starts_with("/endpoints/") => self.invoke(connection, head),
            // A function may open its connections with requests of other kinds.
            _ => {
                connection.body(head, &mut |_| ())?;
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"")
            }
        }
    }

    fn assume_role(&self, connection: &mut Connection, head: &Head) -> io::Result<()> {
        let mut form = Vec::new();
        connection.body(head, &mut |piece| form.extend_from_slice(piece))?;
        let form = String::from_utf8_lossy(&form);
        let wanted = ["Action=AssumeRole", "RoleArn=", "RoleSessionName=", "ExternalId=111122223333"];
        if signing_key(head) != Some(OWN_KEY) || !wanted.iter().all(|wanted| form.contains(wanted)) {
            return self
                .refuse(connection, "AssumeRole is not the recipe's, or not signed with the function's own key");
        }
        let number = {
            let mut state = lock(&self.state);
            state.assumed += 1;
            state.assumed
        };
        // The session outlives any run of the bench.
        let body = format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <Credentials><AccessKeyId>{}</AccessKeyId>\
             <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey>\
             <SessionToken>{}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:bench</AssumedRoleId>\
             <Arn>arn:aws:sts::111122223333:assumed-role/SageMakerExternal/bench</Arn></AssumedRoleUser>\
             </AssumeRoleResult><ResponseMetadata><RequestId>8476a536-e9f4-11e8-9739-2dfe598c3fcd</RequestId>\
             </ResponseMetadata></AssumeRoleResponse>",
            key(number),
            token(number)
        );
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        connection.write(head.as_bytes(), b"")
    }

    fn invoke(&self, connection: &mut Connection, head: &Head) -> io::Result<()> {
        let (event, newest) = {
            let mut state = lock(&self.state);
            state.invoked += 1;
            state.delivered = false;
            (state.event.clone(), state.assumed)
        };
        let Some(event) = event else { return self.refuse(connection, "nothing was asked") };
        let (mut received, mut same) = (0, true);
        connection.body(head, &mut |piece| {
            same &= event.request.holds(received, piece);
            received += piece.len();
        })?;
        if signing_key(head) != Some(&key(newest)) || head.header("x-amz-security-token") != Some(&token(newest)) {
            return self.refuse(connection, "a model call is not signed with the newest temporary key");
        }
        if !same || received != event.request.length {
            return self.refuse(connection, "the model got another body than the caller sent");
        }
        self.answer(connection, &event)
    }

    fn answer(&self, connection: &mut Connection, event: &Event) -> io::Result<()> {
        let kind = match event.route {
            Route::Invocations => "Content-Type",
            Route::ResponseStream => "X-Amzn-SageMaker-Content-Type: text/plain\r\nContent-Type",
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\n{kind}: {}\r\nContent-Length: {}\r\n\
             x-amzn-RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
             x-Amzn-Invoked-Production-Variant: AllTraffic\r\n\r\n",
            event.route.content_type(),
            event.answer.length
        );
        let mut sent = 0;
        let first = event.answer.piece(0);
        let first = if event.paused { first.get(..PART).unwrap_or(first) } else { first };
        connection.write(head.as_bytes(), first)?;
        sent += first.len();
        if event.paused {
            let late = |state: &mut State| !state.delivered;
            let waited = self.delivered.wait_timeout_while(lock(&self.state), PATIENCE, late);
            let (state, timeout) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
            drop(state);
            if timeout.timed_out() {
                self.fail("the first part was not delivered before the second was asked for");
            }
        }
        while sent < event.answer.length {
            let piece = event.answer.piece(sent);
            connection.write(piece, b"")?;
            sent += piece.len();
        }
        Ok(())
    }

    fn refuse(&self, connection: &mut Connection, why: &str) -> io::Result<()> {
        self.fail(why);
        connection.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"")
    }

    fn fail(&self, why: &str) {
        lock(&self.state).failure.get_or_insert_with(|| why.to_owned());
    }
}

/// The access key id of a Signature Version 4.
fn signing_key(head: &Head) -> Option<&str> {
    let (_, credential) = head.header("authorization")?.split_once("Credential=")?;
    credential.split('/').next()
}

fn key(number: usize) -> String {
    format!("ASIA{number:016}")
}

/// As long as real ones often are.
fn token(number: usize) -> String {
    format!("{}{number:016}", "FwoGZXIvYXdzE".repeat(30))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// The status of one request on a connection of its own.
    fn ask(backend: &Backend, path: &str, key: &str, token: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(backend.server.address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential={key}/x\r\n\
             X-Amz-Security-Token: {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    }

    const FORM: &[u8] = b"Action=AssumeRole&RoleArn=r&RoleSessionName=n&ExternalId=111122223333";

    fn assumed_twice() -> (Backend, Vec<u8>) {
        let backend = Backend::start(None).unwrap();
        let event = Event::of(1000).unwrap();
        backend.expect(&event);
        for _ in 0..2 {
            assert_eq!(ask(&backend, "/", OWN_KEY, "", FORM), "200");
        }
        (backend, event.request.to_vec())
    }

    #[test]
    fn the_newest_key_is_answered_and_all_is_counted() {
        let (backend, body) = assumed_twice();
        assert_eq!(ask(&backend, "/endpoints/iris/invocations", &key(2), &token(2), &body), "200");
        let Tally { connections, assumed, invoked } = backend.tally();
        assert_eq!((connections, assumed, invoked, backend.failure()), (3, 2, 1, None));
    }

    #[test]
    fn an_older_key_another_token_or_another_body_ends_the_run() {
        for (key, token, change) in [(key(1), token(2), 0), (key(2), token(1), 0), (key(2), token(2), 1)] {
            let (backend, mut body) = assumed_twice();
            body[500] ^= change;
            assert_eq!(ask(&backend, "/endpoints/iris/invocations", &key, &token, &body), "400");
            assert!(backend.failure().is_some());
        }
    }

    #[test]
    fn an_assume_role_that_is_not_the_recipes_ends_the_run() {
        for (key, form) in [("ASIAELSE", FORM), (OWN_KEY, &b"Action=AssumeRole&RoleArn=r&RoleSessionName=n"[..])] {
            let backend = Backend::start(None).unwrap();
            assert_eq!(ask(&backend, "/", key, "", form), "400");
            assert!(backend.failure().is_some());
        }
    }
}
