//! The process of chromedriver.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::programs::Programs;

const SCRIPT: &str = include_str!("driver.sh");
/// Far longer than a start takes on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);

/// A chromedriver, and with it every browser that it started. They end with this value.
#[derive(Debug)]
pub(crate) struct Driver {
    supervisor: Child,
    url: String,
}

impl Driver {
    pub(crate) fn start(programs: &Programs, directory: &Path) -> io::Result<Driver> {
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "brokkr-browser"])
            .arg(&programs.driver)
            .arg(directory)
            // Chromium writes into its home whatever its profile is.
            .env("HOME", directory)
            .env("TMPDIR", directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = supervisor.stdout.take();
        let mut driver = Driver {
            supervisor,
            url: String::new(),
        };
        let (found, port) = mpsc::channel();
        std::thread::spawn(move || {
            // The rest is read and forgotten, because a pipe that nobody reads would stop the driver.
            for line in BufReader::new(stdout?).lines().map_while(Result::ok) {
                if let Some(port) = port_in(&line) {
                    found.send(port).ok()?;
                }
            }
            Some(())
        });
        let port = port
            .recv_timeout(START_MAX)
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "chromedriver named no port"))?;
        driver.url = format!("http://127.0.0.1:{port}");
        Ok(driver)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // Nobody is left who could do anything about a failure.
        let _ = self.supervisor.wait();
    }
}

fn port_in(line: &str) -> Option<u16> {
    let (_, port) = line.split_once("started successfully on port ")?;
    port.trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::port_in;

    #[test]
    fn the_port_is_the_one_that_was_taken_and_not_the_one_that_was_asked_for() {
        assert_eq!(port_in("Starting ChromeDriver 156.0 on port 0"), None);
        assert_eq!(
            port_in("ChromeDriver was started successfully on port 40123."),
            Some(40123)
        );
    }
}
