//! One environment of Lambda: a child process with what Lambda sets and nothing else,
//! its Runtime API and its backend.

use std::collections::VecDeque;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::backend::{Backend, OWN_KEY, Tally};
use crate::contestants::{Contestant, Kind};
use crate::events::{ENDPOINT, Event};
use crate::runtime_api::{RuntimeApi, Sample};
use crate::tls::Tls;

/// A whole turn of requests takes less, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a silent child is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Of a child's output, for whoever has to find out why it failed.
const KEPT_OUTPUT: usize = 4 << 10;

pub const ROLE: &str = "arn:aws:iam::111122223333:role/SageMakerExternal";

pub struct Environment {
    contestant: Contestant,
    child: Child,
    runtime: RuntimeApi,
    backend: Backend,
    output: Arc<Mutex<VecDeque<u8>>>,
    pub spawned: Instant,
    asked: usize,
}

/// How an environment differs from the usual one.
pub struct Setting<'a> {
    /// Trusted by every child; serves TLS only where `is_tls`.
    pub tls: &'a Tls,
    pub is_tls: bool,
    pub reuse_seconds: u32,
}

/// In KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub peak: u64,
    pub resident: u64,
}

impl Environment {
    /// Spawns the contestant. An `event` is there before the child is, so that its first
    /// answer tells how long the start took.
    ///
    /// # Errors
    /// When the child cannot be spawned.
    pub fn start(contestant: &Contestant, setting: &Setting<'_>, event: &Arc<Event>) -> Result<Self> {
        let runtime = RuntimeApi::start()?;
        let backend = Backend::start(setting.is_tls.then_some(&setting.tls.server))?;
        runtime.on_first_byte(backend.deliverer());
        backend.expect(event);
        runtime.queue(event, 1);
        let mut command = Command::new(&contestant.command);
        command
            .args(&contestant.arguments)
            .current_dir(&contestant.directory)
            .env_clear()
            .envs(variables(contestant.kind.is_python(), &setting.tls.roots, setting.reuse_seconds))
            .env("AWS_LAMBDA_RUNTIME_API", runtime.server.address.to_string())
            .env("AWS_ENDPOINT_URL", backend.url(setting.is_tls))
            .envs((contestant.kind == Kind::Signed).then_some(("FLOOR_SIGNS", "1")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let spawned = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", contestant.command.display()))?;
        let output = Arc::new(Mutex::new(VecDeque::new()));
        drain(child.stdout.take(), &output);
        drain(child.stderr.take(), &output);
        Ok(Self { contestant: contestant.clone(), child, runtime, backend, output, spawned, asked: 1 })
    }

    /// Starts the contestant and waits for its first answer.
    ///
    /// # Errors
    /// As [`Environment::start`] and [`Environment::ask`].
    pub fn ready(contestant: &Contestant, setting: &Setting<'_>, event: &Arc<Event>) -> Result<(Self, Sample)> {
        let mut environment = Self::start(contestant, setting, event)?;
        let samples = environment.answers()?;
        let first = samples.first().copied().ok_or("no first answer")?;
        Ok((environment, first))
    }

    /// Asks `times` in a row.
    ///
    /// # Errors
    /// The first wrong request or answer, or that the child has ended or hangs.
    pub fn ask(&mut self, event: &Arc<Event>, times: usize) -> Result<Vec<Sample>> {
        self.backend.expect(event);
        self.asked += times;
        self.runtime.queue(event, times);
        self.answers()
    }

    fn answers(&mut self) -> Result<Vec<Sample>> {
        let since = Instant::now();
        let why = loop {
            match self.runtime.collect(LOOK) {
                Ok(Some(samples)) => match self.backend.failure() {
                    None => return Ok(samples),
                    Some(failure) => break failure,
                },
                Err(error) => break self.backend.failure().unwrap_or_else(|| error.to_string()),
                Ok(None) => match self.child.try_wait()? {
                    Some(status) => break format!("it ended: {status}"),
                    None if since.elapsed() > PATIENCE => break "it hangs".to_owned(),
                    None => {}
                },
            }
        };
        let output = self.output.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let output: Vec<u8> = output.iter().copied().collect();
        Err(format!("{}: {why}\n{}", self.contestant.kind.name(), String::from_utf8_lossy(&output)).into())
    }

    pub fn tally(&self) -> Tally {
        self.backend.tally()
    }

    /// That each request was one model call, and one AssumeRole unless they are reused.
    ///
    /// # Errors
    /// The counts, when they differ.
    pub fn check_calls(&self, reuses: bool) -> Result<()> {
        let Tally { assumed, invoked, .. } = self.tally();
        let calls = if self.contestant.kind.calls_out() { self.asked } else { 0 };
        if invoked == calls && (reuses || assumed == calls) {
            return Ok(());
        }
        let name = self.contestant.kind.name();
        Err(format!("{name}: {} requests came to {assumed} AssumeRole and {invoked} model calls", self.asked).into())
    }

    /// # Errors
    /// When the child has ended.
    pub fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = |name: &str| -> Option<u64> {
            status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
        };
        let found = value("VmHWM:").zip(value("VmRSS:"));
        found.map(|(peak, resident)| Memory { peak, resident }).ok_or_else(|| "no memory in /proc".into())
    }

    /// Processor time of all the child's threads so far.
    ///
    /// # Errors
    /// When the child has ended, or the kernel keeps no such count.
    pub fn processor(&self) -> Result<Duration> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.runtime.close();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What Lambda gives a function with the trust store of this machine, and what the
/// contestants are told of the grant.
fn variables(is_python: bool, roots: &Path, reuse_seconds: u32) -> Vec<(&'static str, String)> {
    let grants = format!(r#"[{{"RoleArn":"{ROLE}","EndpointNames":["{ENDPOINT}"]}}]"#);
    let roots = roots.display().to_string();
    vec![
        ("AWS_LAMBDA_FUNCTION_NAME", "bench".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/24/[$LATEST]0123456789abcdef".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        // What the template sets for the invoker; Python keeps Lambda's default, with which
        // boto3 logs nothing.
        ("AWS_LAMBDA_LOG_FORMAT", if is_python { "Text" } else { "JSON" }.to_owned()),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", OWN_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        ("AWS_SESSION_TOKEN", "FwoGZXIvYXdzE".repeat(30)),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("SSL_CERT_FILE", roots.clone()),
        ("AWS_CA_BUNDLE", roots),
        ("GRANTS", grants),
        ("CREDENTIAL_REUSE_SECONDS", reuse_seconds.to_string()),
        ("ROLE_ARN", ROLE.to_owned()),
        ("EXTERNAL_ID", "111122223333".to_owned()),
    ]
}

/// Reads a child's output, as Lambda does, and keeps its end.
fn drain(stream: Option<impl Read + Send + 'static>, output: &Arc<Mutex<VecDeque<u8>>>) {
    let (Some(mut stream), output) = (stream, Arc::clone(output)) else { return };
    thread::spawn(move || {
        let mut buffer = [0; 8 << 10];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            let mut kept = output.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            kept.extend(buffer.iter().take(read));
            let surplus = kept.len().saturating_sub(KEPT_OUTPUT);
            kept.drain(..surplus);
        }
    });
}
