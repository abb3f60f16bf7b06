//! Networks of namespaces with real servers, clients and hostile devices.
