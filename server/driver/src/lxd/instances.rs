//! Instances: their configuration and whether they run.

use super::mark::{self, Config, Devices};
use super::reply::ApiError;
use super::transport::{Body, Transport};
use crate::types::{Instance, InstanceName, InstanceSpec, RunState};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the engine may be busy with an instance, or others may come between, before that is an error.
const BUSY_LIMIT: Duration = Duration::from_secs(15);
/// How long to wait before asking a busy engine again.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// An instance as the engine describes it.
#[derive(Debug, Deserialize)]
pub(super) struct Description {
    name: String,
    status_code: u16,
    config: Config,
    #[serde(default)]
    devices: Devices,
    #[serde(default)]
    last_used_at: String,
}

/// What of an instance can be changed, as it is read and written back.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Changeable {
    architecture: String,
    config: Config,
    devices: Devices,
    ephemeral: bool,
    profiles: Vec<String>,
    #[serde(default)]
    stateful: bool,
    #[serde(default)]
    description: String,
}

/// What to do to an instance's state.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// Run its init.
    Start,
    /// Go on with what was frozen.
    Unfreeze,
    /// Ask its init to shut down, and fail where it has not within this time.
    ShutDown(Duration),
    /// End it at once.
    Kill,
}

impl Description {
    /// The instance, or `None` where it is not ours.
    pub(super) fn ours(self) -> Option<Instance> {
        if !mark::is_ours(&self.config) {
            return None;
        }
        let labels = mark::labels(&self.config);
        Some(Instance {
            name: InstanceName::new(self.name).ok()?,
            state: run_state(self.status_code),
            labels,
            changed: mark::changed(&self.config, &self.devices),
            started: self.last_used_at,
        })
    }

    /// Whether it is paused: it runs, but nothing in it moves.
    pub(super) fn is_frozen(&self) -> bool {
        self.status_code == 110
    }

    /// Whether it runs.
    pub(super) fn is_running(&self) -> bool {
        run_state(self.status_code) == RunState::Running
    }

    /// Whether nothing of it runs.
    pub(super) fn is_stopped(&self) -> bool {
        run_state(self.status_code) == RunState::Stopped
    }
}

/// The API's status codes: 102 stopped, 103 running, 112 error, 113 ready; the others, of which 110 is frozen, are ways
/// between.
fn run_state(code: u16) -> RunState {
    match code {
        103 | 113 => RunState::Running,
        102 => RunState::Stopped,
        112 => RunState::Failed,
        _ => RunState::Changing,
    }
}

fn url(name: &InstanceName) -> String {
    format!("/1.0/instances/{name}")
}

impl Transport {
    /// `GET /1.0/instances?recursion=1`: those of ours.
    pub(super) async fn our_instances(&self) -> Result<Vec<Instance>, ApiError> {
        let all: Vec<Description> = self.get("/1.0/instances?recursion=1").await?;
        Ok(all.into_iter().filter_map(Description::ours).collect())
    }

    /// `GET /1.0/instances/NAME`.
    pub(super) async fn describe(&self, name: &InstanceName) -> Result<Description, ApiError> {
        self.get(&url(name)).await
    }

    /// `POST /1.0/instances`: creates a stopped instance from the image `fingerprint`.
    pub(super) async fn create_instance(
        &self,
        name: &InstanceName,
        fingerprint: &str,
        spec: &InstanceSpec,
    ) -> Result<(), ApiError> {
        let (mut config, mut devices) = (Config::new(), Devices::new());
        mark::apply(spec, &mut config, &mut devices);
        let body = json!({
            "name": name,
            "type": "container",
            "source": { "type": "image", "fingerprint": fingerprint },
            "profiles": ["default"],
            "config": config,
            "devices": devices,
        });
        let answer = self.request(Method::POST, "/1.0/instances", Body::json(&body)).await?;
        self.completed(answer).await.map(drop)
    }

    /// `POST /1.0/instances`: creates the stopped instance `to` with the root file system of `from`, which may run: the
    /// engine then holds it for the moment that it needs.
    ///
    /// The engine would have configuration and devices of `from` as well. They are hidden, so that none of them stands
    /// in the way; the hiding devices are left for [`mark::replace`] to remove.
    pub(super) async fn copy_instance(
        &self,
        from: &InstanceName,
        to: &InstanceName,
        spec: &InstanceSpec,
    ) -> Result<(), ApiError> {
        let source: Changeable = self.get(&url(from)).await?;
        let (mut config, mut devices) = (Config::new(), Devices::new());
        mark::apply(spec, &mut config, &mut devices);
        mark::hide(&source.config, &source.devices, &mut config, &mut devices);
        let body = json!({
            "name": to,
            "type": "container",
            "source": { "type": "copy", "source": from, "instance_only": true },
            "profiles": ["default"],
            "config": config,
            "devices": devices,
        });
        let answer = self.request(Method::POST, "/1.0/instances", Body::json(&body)).await?;
        self.completed(answer).await.map(drop)
    }

    /// `POST /1.0/instances/NAME`: gives a stopped instance another name.
    pub(super) async fn rename_instance(
        &self,
        name: &InstanceName,
        to: &InstanceName,
    ) -> Result<(), ApiError> {
        self.insist(Method::POST, &url(name), &json!({ "name": to })).await
    }

    /// `GET`, then `PUT /1.0/instances/NAME`: configuration and devices with `change` made to them. Repeated where the
    /// instance was changed in between, so nobody's change is lost.
    pub(super) async fn change_instance(
        &self,
        name: &InstanceName,
        change: impl Fn(&mut Config, &mut Devices),
    ) -> Result<(), ApiError> {
        let end = Instant::now() + BUSY_LIMIT;
        loop {
            let answer = self.request(Method::GET, &url(name), Body::default()).await?;
            let etag = answer.etag.clone().unwrap_or_default();
            let mut instance: Changeable = answer.metadata()?;
            let (config, devices) = (instance.config.clone(), instance.devices.clone());
            change(&mut instance.config, &mut instance.devices);
            if (&config, &devices) == (&instance.config, &instance.devices) {
                return Ok(());
            }
            let body = Body::json(&json!(instance)).header("if-match", &etag);
            let result = match self.request(Method::PUT, &url(name), body).await {
                Ok(answer) => self.completed(answer).await.map(drop),
                Err(error) => Err(error),
            };
            match result {
                Err(error) if (error.is_outdated() || error.is_busy()) && Instant::now() < end => {
                    sleep(BUSY_PAUSE).await
                }
                result => return result,
            }
        }
    }

    /// `PUT /1.0/instances/NAME/state`. Waits for its turn while the engine is busy with the instance.
    pub(super) async fn change_state(&self, name: &InstanceName, change: Change) -> Result<(), ApiError> {
        let body = match change {
            Change::Start => json!({ "action": "start", "timeout": -1 }),
            Change::Unfreeze => json!({ "action": "unfreeze", "timeout": -1 }),
            // Whole seconds; 0 would be no time at all.
            Change::ShutDown(limit) => json!({ "action": "stop", "timeout": limit.as_secs().max(1) }),
            Change::Kill => json!({ "action": "stop", "timeout": -1, "force": true }),
        };
        self.insist(Method::PUT, &format!("{}/state", url(name)), &body).await
    }

    /// `DELETE /1.0/instances/NAME`: of a stopped one.
    pub(super) async fn delete_instance(&self, name: &InstanceName) -> Result<(), ApiError> {
        self.insist(Method::DELETE, &url(name), &Value::Null).await
    }

    /// Makes a request and waits for its operation; tries again while another operation on the instance is under way.
    async fn insist(&self, method: Method, path: &str, body: &Value) -> Result<(), ApiError> {
        let end = Instant::now() + BUSY_LIMIT;
        loop {
            let body = if body.is_null() { Body::default() } else { Body::json(body) };
            let result = match self.request(method.clone(), path, body).await {
                Ok(answer) => self.completed(answer).await.map(drop),
                Err(error) => Err(error),
            };
            match result {
                Err(error) if error.is_busy() && Instant::now() < end => sleep(BUSY_PAUSE).await,
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(config: &str, code: u16) -> Description {
        let json =
            format!(r#"{{"name":"codchi-x","status_code":{code},"config":{config},"last_used_at":"t"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn an_instance_without_the_mark_is_not_ours() {
        assert_eq!(description(r#"{"user.codchi.machine":"x"}"#, 102).ours(), None);
    }

    #[test]
    fn an_instance_of_ours_tells_its_state_and_labels() {
        let instance = description(r#"{"user.codchi":"{}","user.codchi.machine":"x","limits.cpu":"1"}"#, 103);
        assert!(instance.is_running());
        let instance = instance.ours().unwrap();
        assert_eq!(instance.state, RunState::Running);
        assert_eq!(
            instance.labels.into_iter().collect::<Vec<_>>(),
            [("user.codchi.machine".into(), "x".into())]
        );
    }

    #[test]
    fn a_frozen_instance_neither_runs_nor_is_stopped() {
        let frozen = description("{}", 110);
        assert!(frozen.is_frozen() && !frozen.is_running() && !frozen.is_stopped());
    }
}
