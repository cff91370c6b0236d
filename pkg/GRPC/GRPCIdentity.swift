internal import CGRPC

/// The TLS side of a server or client, as PEM texts.
public struct GRPCIdentity: Sendable {
    /// Authorities that the peer's certificate must come from. A server that has them demands a certificate of its clients
    /// (mutual TLS); a client without them trusts the system's.
    public var roots: String?
    /// The own certificate chain, and its key. Required of servers.
    public var certificate: String?
    public var privateKey: String?

    public init(roots: String? = nil, certificate: String? = nil, privateKey: String? = nil) {
        self.roots = roots
        self.certificate = certificate
        self.privateKey = privateKey
    }
}

func withIdentity<Result>(_ identity: GRPCIdentity?, _ body: (UnsafePointer<cgrpc_identity>) -> Result) -> Result {
    withOptional(identity?.roots) { roots in
        withOptional(identity?.certificate) { certificate in
            withOptional(identity?.privateKey) { key in
                withUnsafePointer(
                    to: cgrpc_identity(roots: roots, certificate: certificate, private_key: key), body)
            }
        }
    }
}
