//! In which form an answer is wanted, as HTTP's `Accept` says it.

/// The form in which an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// No event stream: bytes as they are.
    AsIs,
    /// An event stream as it is.
    Frames,
    /// The payload of an event stream alone.
    Plain(Media),
}

/// Media types in which an error can follow a part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `text/event-stream`, server-sent events.
    Events,
    /// `application/jsonlines`.
    JsonLines,
}

impl Media {
    pub const ALL: [Self; 2] = [Self::Events, Self::JsonLines];

    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::JsonLines => "application/jsonlines",
        }
    }

    /// Whether a media type, with or without parameters, is this one.
    pub fn is(self, written: &str) -> bool {
        media_type(written).eq_ignore_ascii_case(self.name())
    }
}

const FRAMES: &str = "application/vnd.amazon.eventstream";

impl Form {
    /// The form of a stream that an HTTP `Accept` names with the highest weight, the
    /// first of several (RFC 9110, section 12.4.2); frames where it names none, as
    /// SageMaker's own clients do.
    pub fn of_stream(accept: Option<&str>) -> Self {
        let named = |range: &str| match Media::ALL.into_iter().find(|media| media.is(range)) {
            Some(media) => Some(Self::Plain(media)),
            None => media_type(range).eq_ignore_ascii_case(FRAMES).then_some(Self::Frames),
        };
        let weighed = |range| Some((named(range)?, weight(range))).filter(|(_, weight)| *weight > 0.0);
        // Of equal ones `max_by` takes the last.
        let ranges = accept.into_iter().flat_map(|accept| accept.split(',').rev());
        let best = ranges.filter_map(weighed).max_by(|(_, one), (_, other)| one.total_cmp(other));
        best.map_or(Self::Frames, |(form, _)| form)
    }
}

/// From 0, "not this one", to 1; what is no weight counts as none given.
fn weight(range: &str) -> f32 {
    let parameters = range.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut weights = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let weight = weights.next().and_then(|(_, weight)| weight.trim().parse().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0)
}

fn media_type(written: &str) -> &str {
    written.split(';').next().unwrap_or_default().trim()
}
