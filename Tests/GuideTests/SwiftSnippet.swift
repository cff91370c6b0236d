import Glibc
import StandardWebhooks

/// Returns the message's id, or throws why the request is not to be trusted. The body is as it came.
func verify(secrets: [String], headers: [(name: String, value: String)], body: [UInt8]) throws -> String {
    let verifier = try WebhookVerifier(keys: secrets)
    try verifier.verify(headers: headers, body: body, nowSeconds: Int64(time(nil)))
    return headers.first { $0.name.lowercased() == WebhookHeaders.id }?.value ?? ""
}
