/// Which response headers a result carries.
public enum KeptHeaders: Sendable {
    /// These, in lower case.
    case named([String])
    case all
}

/// What holds for every request of a sender.
public struct HTTPSenderConfiguration: Sendable {
    public var addressPolicy = AddressPolicy.publicOnly
    /// Connections kept alive: above this many, the one idle longest is closed. libcurl's default shrinks with the load.
    public var maximumConnections = 2_048
    /// A PEM file with the certificate authorities to trust, instead of the system's.
    public var caBundlePath: String?
    public var keptHeaders = KeptHeaders.named(["retry-after", "content-type"])
    /// Response headers beyond this many are not kept.
    public var maximumKeptHeaders = 32
    /// All header bytes of a response, informational ones included; beyond, the request fails.
    public var maximumHeaderBytes = 16 << 10
    /// How much of a response's body a result carries.
    public var keptBodyBytes = 1 << 10
    /// Body bytes of a response; beyond, the request fails.
    public var maximumBodyBytes = 64 << 10

    public init() {}
}

/// Why there is no sender.
public enum HTTPSenderError: Error, Equatable, CustomStringConvertible {
    /// The file with certificate authorities cannot be read.
    case unreadableCABundle(path: String)
    /// libcurl could not be set up.
    case unavailable

    public var description: String {
        switch self {
        case .unreadableCABundle(let path): "the CA bundle \(path) cannot be read"
        case .unavailable: "libcurl could not be initialised"
        }
    }
}
