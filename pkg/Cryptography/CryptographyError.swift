internal import COpenSSL

/// Why a cryptographic operation gave no result. Never carries key material.
public enum CryptographyError: Error, Equatable, CustomStringConvertible {
    /// An empty MAC key, which OpenSSL would take for "the previous key".
    case emptyKey
    /// A key of the wrong size, in bytes.
    case wrongKeyLength(expected: Int, actual: Int)
    /// The tag does not fit: altered data, another key or other associated data.
    case notAuthentic
    /// Too short to be what it should be.
    case malformed
    /// Too many password computations wait already.
    case busy
    /// The C library refused; `operation` is its function.
    case failed(operation: String)

    public var description: String {
        switch self {
        case .emptyKey: "the key is empty"
        case .wrongKeyLength(let expected, let actual): "the key has \(actual) bytes, expected \(expected)"
        case .notAuthentic: "the data is not authentic"
        case .malformed: "the data is malformed"
        case .busy: "too many password computations are waiting"
        case .failed(let operation): "\(operation) failed"
        }
    }
}

/// Turns OpenSSL's "not 1" into an error. A failure leaves entries in the thread's error queue, where a later, unrelated
/// TLS call would find them: so they are dropped here.
func check(_ result: Int32, _ operation: StaticString) throws(CryptographyError) {
    guard result != 1 else { return }
    ERR_clear_error()
    throw .failed(operation: "\(operation)")
}

/// Compares in a time that depends on the lengths alone.
public func constantTimeEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let left = a.baseAddress, let right = b.baseAddress else { return true }
    return CRYPTO_memcmp(left, right, a.count) == 0
}

/// Compares in a time that depends on the lengths alone.
public func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { left in b.withUnsafeBytes { right in constantTimeEqual(left, right) } }
}
