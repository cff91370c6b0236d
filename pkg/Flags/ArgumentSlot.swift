/// What the parser needs of a command's property. The wrappers share their value with the parser through an object, so that
/// it can fill in a command that it has made with `init()`.
protocol ArgumentProperty {
    func definition(label: String) -> ArgumentDefinition
    /// Takes a word (a flag: an empty one); false where it is no value of the kind.
    func take(_ word: String) -> Bool
}

/// The value of one property of one command.
final class ArgumentSlot<Value> {
    var value: Value?
    private let read: (String, inout Value?) -> Bool
    let isRepeating: Bool
    let isRequired: Bool
    let choices: [String]
    let valueKind: ValueKind
    let defaultText: String?

    init(
        initial: Value?, isRequired: Bool = false, isRepeating: Bool = false, choices: [String] = [],
        valueKind: ValueKind = .text, defaultText: String? = nil, read: @escaping (String, inout Value?) -> Bool
    ) {
        value = initial
        self.read = read
        self.isRepeating = isRepeating
        self.isRequired = isRequired
        self.choices = choices
        self.valueKind = valueKind
        self.defaultText = defaultText
    }

    func take(_ word: String) -> Bool { read(word, &value) }

    var required: Value {
        guard let value else { fatalError("an argument was read before the command line was parsed") }
        return value
    }

    static func single(_ initial: Value?) -> ArgumentSlot where Value: ExpressibleByArgument {
        ArgumentSlot(
            initial: initial, isRequired: initial == nil, choices: Value.choices, valueKind: Value.valueKind,
            defaultText: initial?.argumentText
        ) { word, value in
            value = Value(argument: word)
            return value != nil
        }
    }

    static func optional<Wrapped: ExpressibleByArgument>() -> ArgumentSlot where Value == Wrapped? {
        ArgumentSlot(initial: .some(nil), choices: Wrapped.choices, valueKind: Wrapped.valueKind) { word, value in
            guard let read = Wrapped(argument: word) else { return false }
            value = .some(read)
            return true
        }
    }

    static func repeated<Element: ExpressibleByArgument>(
        _ initial: [Element], isRequired: Bool
    ) -> ArgumentSlot where Value == [Element] {
        // What is typed replaces the default.
        var isFirst = true
        let shown = initial.isEmpty ? nil : initial.map(\.argumentText).joined(separator: " ")
        return ArgumentSlot(
            initial: initial, isRequired: isRequired, isRepeating: true, choices: Element.choices,
            valueKind: Element.valueKind, defaultText: shown
        ) { word, value in
            guard let read = Element(argument: word) else { return false }
            value = (isFirst ? [] : value ?? []) + [read]
            isFirst = false
            return true
        }
    }

    func definition(
        _ kind: ArgumentDefinition.Kind, names: [String], valueName: String, help: String
    ) -> ArgumentDefinition {
        ArgumentDefinition(
            kind: kind, names: names, valueName: valueName, help: help, isRequired: isRequired,
            isRepeating: isRepeating, defaultText: defaultText, choices: choices, valueKind: valueKind)
    }
}
