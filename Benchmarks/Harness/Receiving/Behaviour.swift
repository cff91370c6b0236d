/// How a webhook's endpoint answers.
enum Behaviour: Equatable, Sendable {
    case answer
    /// 200 after so many milliseconds.
    case delay(UInt64)
    /// This status.
    case fail(Int)
    /// Never.
    case hang
    /// 200, a byte each 100 ms.
    case drip

    /// `answer`, `delay:50`, `fail:503`, `hang`, `drip`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        let number = parts.count == 2 ? Int(parts[1]) : nil
        switch (parts.first, number) {
        case ("answer", nil): self = .answer
        case ("delay", let milliseconds?) where milliseconds >= 0: self = .delay(UInt64(milliseconds))
        case ("fail", let status?) where (300...599).contains(status): self = .fail(status)
        case ("hang", nil): self = .hang
        case ("drip", nil): self = .drip
        default: return nil
        }
    }
}

/// What all endpoints do: a share of them may misbehave.
struct Behaviours: Equatable, Sendable {
    var misbehaviour = Behaviour.answer
    /// Of all webhooks; exactly so many of each thousand in a row, and about so many of fewer.
    var permille = 0

    /// Multiplied by a number that has no divisor in common with 1,000, neighbours lie far from each other.
    func isBystander(_ hook: Int) -> Bool { hook * 919 % 1_000 >= permille }
    func of(_ hook: Int) -> Behaviour { isBystander(hook) ? .answer : misbehaviour }
}
