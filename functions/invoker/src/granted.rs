//! What the grant of an endpoint allows a request, and what STS is asked for it.

use std::time::Duration;

use sagemaker_external::location::{UNAMBIGUOUS, is_unambiguous};
use sagemaker_external::name::{EndpointName, SessionName};

use crate::assume::Ask;
use crate::attribution::Attribution;
use crate::caller::Caller;
use crate::error::Invalid;
use crate::grants::Grant;
use crate::headers::Headers;
use crate::operation::INPUT_LOCATION;
use crate::record::Record;
use crate::settings::Settings;

/// An endpoint and the grant that serves it.
pub(crate) struct Granted<'a> {
    pub(crate) endpoint: EndpointName,
    pub(crate) grant: &'a Grant,
    /// Whether its sessions carry a source identity and tags.
    pub(crate) is_attributed: bool,
}

impl<'a> Granted<'a> {
    pub(crate) fn find(settings: &'a Settings, endpoint: &EndpointName) -> Option<Self> {
        let grant = settings.grants.find(endpoint)?;
        Some(Self { endpoint: endpoint.clone(), grant, is_attributed: settings.is_attributed(grant) })
    }

    /// As the grant has it: a pattern where no grant names the endpoint.
    pub(crate) fn name(&self) -> &str {
        self.grant.name_of(&self.endpoint)
    }

    /// A grant may bound where the endpoint's execution role is made to read. The header is
    /// another operation's as well, as far as anybody knows.
    pub(crate) fn check_input(&self, headers: &Headers) -> Result<(), Invalid> {
        match headers.get(INPUT_LOCATION.header) {
            Some(location) if !self.grant.admits_input(location) && !is_unambiguous(location) => Err(Invalid(format!(
                "header {} ({}) must be {UNAMBIGUOUS}: this API's grant of endpoint \"{}\" bounds where inputs lie, and \
                 any other location can be read in two ways",
                INPUT_LOCATION.header, INPUT_LOCATION.name, self.endpoint
            ))),
            Some(location) if !self.grant.admits_input(location) => Err(Invalid(format!(
                "header {} ({}) must lie below one of the prefixes that this API's grant of endpoint \"{}\" allows: ask \
                 whoever runs this API which these are",
                INPUT_LOCATION.header, INPUT_LOCATION.name, self.endpoint
            ))),
            _ => Ok(()),
        }
    }

    pub(crate) fn attribution(&self, caller: &Caller, record: &Record) -> Option<Attribution> {
        self.is_attributed.then(|| Attribution::of(caller, &record.request_id))
    }

    /// What STS is asked for a session under the grant's role.
    pub(crate) fn ask<'s>(
        &'s self,
        session: &'s SessionName,
        attribution: Option<&'s Attribution>,
        policy: &'s str,
        duration: Duration,
    ) -> Ask<'s> {
        let Grant { role, external_id, .. } = self.grant;
        Ask { role, external_id: Some(external_id), session, attribution, policy, duration }
    }
}
