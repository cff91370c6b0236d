internal import Glibc
internal import Settings

/// The PEM files of one end of a TLS connection between services.
public struct TLSFiles: Sendable {
    /// nil: the default of that end.
    public let authority: String?
    public let certificate: String?
    public let key: String?

    /// nil where `enabled` is false.
    /// - Parameters:
    ///   - authority: What the trusted authorities are for, in words.
    ///   - certificate: Whose the certificate is.
    ///   - isServer: Whether certificate and key are indispensable.
    init?(_ settings: SettingsSection, authority meaning: String, certificate owner: String, isServer: Bool) {
        let isEnabled = settings.value(
            "enabled", .boolean, default: false, "Whether the connection is encrypted by TLS.")
        func path(_ name: String, _ meaning: String) -> String? {
            let path = settings.value(name, .text(0...4_096), default: "", meaning)
            return path.isEmpty ? nil : path
        }
        authority = path("ca", "A PEM file of authorities \(meaning).")
        certificate = path("certificate", "A PEM file with \(owner) certificate.")
        key = path("key", "A PEM file with the key of that certificate.")
        guard isEnabled else { return nil }
        if certificate == nil, isServer || key != nil { settings.refuse("certificate", because: "is needed with TLS") }
        if key == nil, isServer || certificate != nil {
            settings.refuse("key", because: "is needed with the certificate")
        }
    }

    /// The text of one of them; nil for nil.
    public static func read(_ path: String?) throws(TLSFileError) -> String? {
        guard let path else { return nil }
        guard let file = fopen(path, "re") else {
            throw TLSFileError(description: "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = fread(&piece, 1, piece.count, file)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece[..<count]
        }
    }
}

/// Why a PEM file cannot be used.
public struct TLSFileError: Error, CustomStringConvertible {
    public let description: String
}
