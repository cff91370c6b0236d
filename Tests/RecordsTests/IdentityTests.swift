import Testing

@testable import Records

@Suite struct IdentityTests {
    /// From the reference implementation's `vectors_sip128`, key 00 01 … 0f, inputs of growing length 00 01 02 ….
    @Test(arguments: [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (15, "5493e99933b0a8117e08ec0f97cfc3d9"), (63, "5150d1772f50834a503e069a973fbd7c"),
    ])
    func sipHashMatchesItsReference(length: Int, expected: String) {
        var hash = SipHash128(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908)
        let input = (0..<length).map { UInt8($0) }
        input.withUnsafeBytes { hash.update($0) }
        let (first, second) = hash.finish()
        #expect(hexText(first.byteSwapped) + hexText(second.byteSwapped) == expected)
    }

    @Test func sipHashDoesNotDependOnHowItsInputIsCut() {
        let input = (0..<61).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        var whole = SipHash128(key0: 1, key1: 2)
        input.withUnsafeBytes { whole.update($0) }
        for cut in 0...61 {
            var parts = SipHash128(key0: 1, key1: 2)
            input[..<cut].withUnsafeBytes { parts.update($0) }
            input[cut...].withUnsafeBytes { parts.update($0) }
            #expect(parts.finish() == whole.finish())
        }
    }

    @Test func deliveryIDsFollowFromTheRecordAndTheWebhook() {
        let identity = DeliveryIdentity(logID: "log", topic: "events", partition: 3)
        let id = identity.id(offset: 7, timestamp: 9, webhook: "wh_1")
        #expect(id == identity.id(offset: 7, timestamp: 9, webhook: "wh_1"))
        let others = [
            identity.id(offset: 8, timestamp: 9, webhook: "wh_1"),
            identity.id(offset: 7, timestamp: 10, webhook: "wh_1"),
            identity.id(offset: 7, timestamp: 9, webhook: "wh_2"),
            DeliveryIdentity(logID: "other", topic: "events", partition: 3).id(
                offset: 7, timestamp: 9, webhook: "wh_1"),
            DeliveryIdentity(logID: "log", topic: "event", partition: 3).id(offset: 7, timestamp: 9, webhook: "wh_1"),
            DeliveryIdentity(logID: "log", topic: "events", partition: 4).id(offset: 7, timestamp: 9, webhook: "wh_1"),
        ]
        #expect(Set(others + [id]).count == 7)
        #expect(DeliveryID(id.description) == id)
        #expect(DeliveryID(bytes: id.bytes) == id)
        #expect(id.description.utf8.count == 36)
    }

    @Test(arguments: [
        "", "dlv_", "dlv_0123456789abcdef0123456789abcdeF", "dlw_0123456789abcdef0123456789abcdef", "dlv_0123",
    ])
    func otherTextIsNoDeliveryID(text: String) { #expect(DeliveryID(text) == nil) }

    @Test func messageIDsAreTheEventsOwnWhereTheyAreSafe() {
        #expect(webhookMessageID(tenant: "t", source: "s", eventID: "event-123_A") == "event-123_A")
        let long = String(repeating: "a", count: 128)
        #expect(webhookMessageID(tenant: "t", source: "s", eventID: long) == long)
        for odd in ["", "a b", "a.b", "ä", long + "a", "a\r\nb"] {
            let id = webhookMessageID(tenant: "t", source: "s", eventID: odd)
            #expect(id.hasPrefix("evt_") && id.utf8.count == 36, "\(odd)")
            #expect(id != webhookMessageID(tenant: "u", source: "s", eventID: odd))
            #expect(id != webhookMessageID(tenant: "t", source: "r", eventID: odd))
        }
    }
}
