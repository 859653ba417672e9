//! One environment: the packaged program as a process, which may be frozen, between a
//! Runtime API and a backend.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::backend::{Backend, OWN_KEY, OWN_SECRET, OWN_TOKEN};
use crate::plan::{ENDPOINTS, Freeze, Plan};
use crate::runtime_api::RuntimeApi;
use crate::sts::{EXTERNAL_ID, PARENT};
use crate::{Error, Result};

/// How long an environment is frozen, which is no matter: time stands still for it.
const FROZEN: Duration = Duration::from_millis(20);

pub struct Environment {
    pub runtime: RuntimeApi,
    pub backend: Backend,
    /// Whether credentials are kept from request to request.
    pub reuses: bool,
    child: Child,
    printed: Vec<JoinHandle<String>>,
}

impl Environment {
    /// # Errors
    /// When the program cannot be started.
    pub fn start(program: &Path, plans: Arc<[Plan]>, reuses: bool, level: &str) -> Result<Self> {
        let (runtime, backend) = (RuntimeApi::start()?, Backend::start(plans)?);
        let names = ENDPOINTS.join("\",\"");
        let grants = format!(
            r#"[{{"RoleArn":"arn:aws:iam::{PARENT}:role/R","ExternalId":"{EXTERNAL_ID}","EndpointNames":["{names}"]}}]"#
        );
        let mut child = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime.server.address.to_string())
            .env("AWS_ENDPOINT_URL", format!("http://{}", backend.address))
            .env("AWS_LAMBDA_FUNCTION_NAME", "invoker")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_LEVEL", level)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", OWN_KEY)
            .env("AWS_SECRET_ACCESS_KEY", OWN_SECRET)
            .env("AWS_SESSION_TOKEN", OWN_TOKEN)
            .env("GRANTS", grants)
            .env("CREDENTIAL_REUSE_SECONDS", if reuses { "900" } else { "0" })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let printed = [reader(child.stdout.take()), reader(child.stderr.take())].into_iter().flatten().collect();
        Ok(Self { runtime, backend, reuses, child, printed })
    }

    /// Stops the process and lets it go on, as Lambda does between two requests.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn freeze(&self, freeze: Freeze) -> Result<()> {
        self.signal("-STOP")?;
        while !self.is_stopped()? {
            thread::yield_now();
        }
        match freeze {
            Freeze::Quiet => {}
            Freeze::HalfClosed => self.backend.half_close(),
            Freeze::Reset => self.backend.reset(),
        }
        thread::sleep(FROZEN);
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err("the process is gone".into()) }
    }

    fn is_stopped(&self) -> Result<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        Ok(stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
    }

    /// Resident memory in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        value.ok_or_else(|| Error::from("no memory in /proc"))
    }

    /// Ends the process; all that it printed.
    pub fn stop(mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::mem::take(&mut self.printed).into_iter().filter_map(|reader| reader.join().ok()).collect()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> Option<JoinHandle<String>> {
    let mut stream = stream?;
    Some(thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }))
}
