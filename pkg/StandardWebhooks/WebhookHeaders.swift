/// The names of Standard Webhooks' request headers.
public enum WebhookHeaders {
    /// Identifies the message; the same in every attempt to deliver it.
    public static let id = "webhook-id"
    /// When this attempt was signed, in seconds since 1970.
    public static let timestamp = "webhook-timestamp"
    /// Space-separated `v1,…` and `v1a,…`.
    public static let signature = "webhook-signature"
}

/// The two signature schemes, as they are written before the comma.
enum Scheme {
    /// HMAC-SHA256.
    static let hmac = "v1"
    /// ed25519.
    static let ed25519 = "v1a"
}

extension [UInt8] {
    mutating func append(decimal value: Int64) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var position = 20
            var rest = value.magnitude
            repeat {
                position -= 1
                digits[position] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            if value < 0 {
                position -= 1
                digits[position] = UInt8(ascii: "-")
            }
            append(contentsOf: UnsafeBufferPointer(rebasing: digits[position...]))
        }
    }
}
