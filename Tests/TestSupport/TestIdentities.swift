/// Certificates for one test, in PEM: an authority, a server's for 127.0.0.1 and localhost, and a client's. Made by the `openssl`
/// program, which Debian installs with its certificates.
public struct TestIdentities: Sendable {
    public struct Pair: Sendable {
        public let certificatePath: String
        public let keyPath: String
        public let certificate: String
        public let key: String
    }

    public let authority: Pair
    public let server: Pair
    public let client: Pair

    /// Writes them into `directory`, which must exist.
    public static func make(in directory: String) async throws -> TestIdentities {
        let authority = try await pair(
            "authority", directory, signedBy: nil,
            extensions: ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature"])
        let server = try await pair(
            "server", directory, signedBy: authority,
            extensions: ["subjectAltName=IP:127.0.0.1,DNS:localhost", "extendedKeyUsage=serverAuth"])
        let client = try await pair(
            "client", directory, signedBy: authority, extensions: ["extendedKeyUsage=clientAuth"])
        return TestIdentities(authority: authority, server: server, client: client)
    }

    private static func pair(
        _ name: String, _ directory: String, signedBy authority: Pair?, extensions: [String]
    ) async throws -> Pair {
        let path = "\(directory)/\(name)"
        var arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        ]
        arguments += ["-subj", "/CN=\(name)", "-keyout", path + ".key", "-out", path + ".pem"]
        arguments += extensions.flatMap { ["-addext", $0] }
        if let authority { arguments += ["-CA", authority.certificatePath, "-CAkey", authority.keyPath] }
        try await Tool.run("openssl", arguments)
        return Pair(
            certificatePath: path + ".pem", keyPath: path + ".key", certificate: contents(of: path + ".pem"),
            key: contents(of: path + ".key"))
    }
}
