import Editing
import Testing

@Suite struct TopicComparisonTests {
    private func state(_ version: UInt64, _ digest: UInt8 = 0) -> TopicComparison.State {
        .init(version: version, digest: [digest])
    }

    @Test func eachDisagreementHasItsRemedy() {
        var comparison = TopicComparison(topic: [
            "same": state(2), "older": state(1), "newer": state(7), "other": state(2, 9), "gone": state(4),
            "gone too": state(1),
        ])
        #expect(comparison.compare("same", state(2)) == nil)
        #expect(comparison.compare("older", state(2)) == .publish)
        #expect(comparison.compare("missing", state(1)) == .publish)
        #expect(comparison.compare("newer", state(3)) == .raise(above: 7))
        #expect(comparison.compare("other", state(2)) == .raise(above: 2))
        #expect(comparison.leftovers == ["gone", "gone too"])
    }
}
