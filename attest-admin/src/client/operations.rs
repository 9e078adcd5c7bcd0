//! One function for each operation of the API.
//!
//! In: what goes over the wire, from [`crate::types`]. Out: the answer as its type; with the version that an edit has to name,
//! where it is one thing.

use http::Method;

use super::{Client, ClientError};
use crate::{
    etag::{Expected, Version},
    types::{
        AdminToken, App, AuditEntry, AuditReport, AuditVerify, Build, BuildQuery, Checkpoint, CreatedToken, Device,
        DeviceQuery, Enrol, Gateway, GivenOrder, KeySet, Lift, Mark, NewBuild, NewOrder, NewRevocation, NewTestToken,
        NewToken, Order, OrderQuery, Page, PageQuery, Reason, Registered, Retire, Retired, Revocation, Rotate,
        Rotation, SetBuild, Status, TestToken,
    },
};

impl Client {
    /// What the service says of itself and of the token.
    ///
    /// # Errors
    /// [`ClientError`], as for each of the following.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get(&["status"], &()).await
    }

    /// The apps.
    pub async fn apps(&self) -> Result<Page<App>, ClientError> {
        self.get(&["apps"], &()).await
    }

    /// The builds.
    pub async fn builds(&self, query: &BuildQuery) -> Result<Page<Build>, ClientError> {
        self.get(&["builds"], query).await
    }

    /// Vouches for a build.
    pub async fn register(&self, build: &NewBuild) -> Result<Registered, ClientError> {
        self.send(Method::POST, &["builds"], build, None).await?.json()
    }

    /// One build.
    pub async fn build(&self, number: &str) -> Result<(Build, Version), ClientError> {
        self.ask(&["builds", number], &()).await?.versioned()
    }

    /// Retires one build.
    pub async fn set_build(
        &self,
        number: &str,
        set: &SetBuild,
        expected: Expected,
    ) -> Result<(Build, Version), ClientError> {
        self.send(Method::PATCH, &["builds", number], set, Some(expected)).await?.versioned()
    }

    /// Retires a version of an app, or one build of it.
    pub async fn retire(&self, app: &str, retire: &Retire) -> Result<Retired, ClientError> {
        self.send(Method::POST, &["apps", app, "retire"], retire, None).await?.json()
    }

    /// The devices.
    pub async fn devices(&self, query: &DeviceQuery) -> Result<Page<Device>, ClientError> {
        self.get(&["devices"], query).await
    }

    /// One device.
    pub async fn device(&self, id: &str) -> Result<(Device, Version), ClientError> {
        self.ask(&["devices", id], &()).await?.versioned()
    }

    /// Decides of a device.
    pub async fn mark(&self, id: &str, mark: &Mark, expected: Expected) -> Result<(Device, Version), ClientError> {
        self.send(Method::PUT, &["devices", id, "mark"], mark, Some(expected)).await?.versioned()
    }

    /// Enrols a debug device.
    pub async fn enrol(&self, id: &str, enrol: &Enrol, expected: Expected) -> Result<(Device, Version), ClientError> {
        self.send(Method::PUT, &["devices", id, "enrolment"], enrol, Some(expected)).await?.versioned()
    }

    /// Ends an enrolment.
    pub async fn end_enrolment(
        &self,
        id: &str,
        why: &Reason,
        expected: Expected,
    ) -> Result<(Device, Version), ClientError> {
        self.send(Method::DELETE, &["devices", id, "enrolment"], why, Some(expected)).await?.versioned()
    }

    /// Forgets a device.
    pub async fn forget(&self, id: &str, expected: Expected) -> Result<(), ClientError> {
        self.bare(Method::DELETE, &["devices", id], Some(expected)).await.map(drop)
    }

    /// The key sets.
    pub async fn key_sets(&self) -> Result<Page<KeySet>, ClientError> {
        self.get(&["keysets"], &()).await
    }

    /// Lets the next key take over.
    pub async fn rotate(&self, name: &str, rotate: &Rotate) -> Result<Rotation, ClientError> {
        self.send(Method::POST, &["keysets", name, "rotate"], rotate, None).await?.json()
    }

    /// Retires a key at once.
    pub async fn retire_key(&self, name: &str, kid: &str) -> Result<Rotation, ClientError> {
        self.bare(Method::DELETE, &["keysets", name, "keys", kid], None).await?.json()
    }

    /// The revocations.
    pub async fn revocations(&self, query: &PageQuery) -> Result<Page<Revocation>, ClientError> {
        self.get(&["revocations"], query).await
    }

    /// Revokes.
    pub async fn revoke(&self, revocation: &NewRevocation) -> Result<(), ClientError> {
        self.send(Method::POST, &["revocations"], revocation, None).await.map(drop)
    }

    /// Takes a revocation back.
    pub async fn lift(&self, lift: &Lift) -> Result<(), ClientError> {
        self.send(Method::POST, &["revocations", "lift"], lift, None).await.map(drop)
    }

    /// The orders.
    pub async fn orders(&self, query: &OrderQuery) -> Result<Page<Order>, ClientError> {
        self.get(&["orders"], query).await
    }

    /// One order.
    pub async fn order(&self, number: &str) -> Result<(Order, Version), ClientError> {
        self.ask(&["orders", number], &()).await?.versioned()
    }

    /// Gives an order.
    pub async fn give_order(&self, order: &NewOrder) -> Result<(GivenOrder, Version), ClientError> {
        self.send(Method::POST, &["orders"], order, None).await?.versioned()
    }

    /// Ends an order before its time.
    pub async fn end_order(
        &self,
        number: &str,
        why: &Reason,
        expected: Expected,
    ) -> Result<(Order, Version), ClientError> {
        self.send(Method::DELETE, &["orders", number], why, Some(expected)).await?.versioned()
    }

    /// The gateways.
    pub async fn gateways(&self, query: &PageQuery) -> Result<Page<Gateway>, ClientError> {
        self.get(&["gateways"], query).await
    }

    /// The tokens of the API.
    pub async fn tokens(&self) -> Result<Page<AdminToken>, ClientError> {
        self.get(&["tokens"], &()).await
    }

    /// Makes a token.
    pub async fn create_token(&self, token: &NewToken) -> Result<CreatedToken, ClientError> {
        self.send(Method::POST, &["tokens"], token, None).await?.json()
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, name: &str) -> Result<(), ClientError> {
        self.bare(Method::DELETE, &["tokens", name], None).await.map(drop)
    }

    /// Issues a test token.
    pub async fn test_token(&self, token: &NewTestToken) -> Result<TestToken, ClientError> {
        self.send(Method::POST, &["test-tokens"], token, None).await?.json()
    }

    /// The audit log.
    pub async fn audit(&self, query: &PageQuery) -> Result<Page<AuditEntry>, ClientError> {
        self.get(&["audit"], query).await
    }

    /// Verifies the audit log.
    pub async fn verify_audit(&self, verify: &AuditVerify) -> Result<AuditReport, ClientError> {
        self.send(Method::POST, &["audit", "verify"], verify, None).await?.json()
    }

    /// A checkpoint of the audit log.
    pub async fn checkpoint(&self) -> Result<Checkpoint, ClientError> {
        self.get(&["audit", "checkpoint"], &()).await
    }
}
