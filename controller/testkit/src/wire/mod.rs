//! Requests and answers of AWS as they go over the wire: the query protocol's
//! forms and XML. Both the proxy and the stand-in read and write them.

mod call;
mod form;
mod xml;

pub(crate) use call::Call;
pub(crate) use form::Form;
pub(crate) use xml::Element;
