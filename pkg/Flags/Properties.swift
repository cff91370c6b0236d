/// `--name value`: required without a default, once; an array takes the option repeatedly.
@propertyWrapper public struct Option<Value>: ArgumentProperty {
    private let slot: ArgumentSlot<Value>
    private let name: NameSpecification
    private let valueName: String?
    private let help: String

    private init(_ slot: ArgumentSlot<Value>, _ name: NameSpecification, _ valueName: String?, _ help: String) {
        self.slot = slot
        self.name = name
        self.valueName = valueName
        self.help = help
    }

    public init(
        wrappedValue: Value, name: NameSpecification = .long, valueName: String? = nil, help: String = ""
    ) where Value: ExpressibleByArgument { self.init(.single(wrappedValue), name, valueName, help) }

    public init(
        name: NameSpecification = .long, valueName: String? = nil, help: String = ""
    ) where Value: ExpressibleByArgument { self.init(.single(nil), name, valueName, help) }

    public init<Wrapped: ExpressibleByArgument>(
        name: NameSpecification = .long, valueName: String? = nil, help: String = ""
    ) where Value == Wrapped? { self.init(.optional(), name, valueName, help) }

    public init<Element: ExpressibleByArgument>(
        wrappedValue: [Element], name: NameSpecification = .long, valueName: String? = nil, help: String = ""
    ) where Value == [Element] { self.init(.repeated(wrappedValue, isRequired: false), name, valueName, help) }

    public var wrappedValue: Value {
        get { slot.required }
        nonmutating set { slot.value = newValue }
    }

    func definition(label: String) -> ArgumentDefinition {
        slot.definition(
            .option, names: name.names(for: label), valueName: valueName ?? kebabCase(label), help: help)
    }

    func take(_ word: String) -> Bool { slot.take(word) }
}

/// A word by its place: required without a default; an array takes all that are left.
@propertyWrapper public struct Argument<Value>: ArgumentProperty {
    private let slot: ArgumentSlot<Value>
    private let valueName: String?
    private let help: String

    private init(_ slot: ArgumentSlot<Value>, _ valueName: String?, _ help: String) {
        self.slot = slot
        self.valueName = valueName
        self.help = help
    }

    public init(
        wrappedValue: Value, valueName: String? = nil, help: String = ""
    ) where Value: ExpressibleByArgument { self.init(.single(wrappedValue), valueName, help) }

    public init(valueName: String? = nil, help: String = "") where Value: ExpressibleByArgument {
        self.init(.single(nil), valueName, help)
    }

    public init<Wrapped: ExpressibleByArgument>(valueName: String? = nil, help: String = "") where Value == Wrapped? {
        self.init(.optional(), valueName, help)
    }

    public init<Element: ExpressibleByArgument>(
        wrappedValue: [Element], valueName: String? = nil, help: String = ""
    ) where Value == [Element] { self.init(.repeated(wrappedValue, isRequired: false), valueName, help) }

    public init<Element: ExpressibleByArgument>(
        valueName: String? = nil, help: String = ""
    ) where Value == [Element] { self.init(.repeated([], isRequired: true), valueName, help) }

    public var wrappedValue: Value {
        get { slot.required }
        nonmutating set { slot.value = newValue }
    }

    func definition(label: String) -> ArgumentDefinition {
        slot.definition(.positional, names: [], valueName: valueName ?? kebabCase(label), help: help)
    }

    func take(_ word: String) -> Bool { slot.take(word) }
}

/// `--name`: false unless given.
@propertyWrapper public struct Flag: ArgumentProperty {
    private let slot: ArgumentSlot<Bool>
    private let name: NameSpecification
    private let help: String

    public init(wrappedValue: Bool = false, name: NameSpecification = .long, help: String = "") {
        slot = ArgumentSlot(initial: wrappedValue) { _, value in
            value = true
            return true
        }
        self.name = name
        self.help = help
    }

    public var wrappedValue: Bool {
        get { slot.required }
        nonmutating set { slot.value = newValue }
    }

    func definition(label: String) -> ArgumentDefinition {
        slot.definition(.flag, names: name.names(for: label), valueName: "", help: help)
    }

    func take(_ word: String) -> Bool { slot.take(word) }
}

/// Properties that several commands share.
public protocol ParsableArguments {
    init()
}

/// The properties of another type among a command's own.
@propertyWrapper public struct OptionGroup<Group: ParsableArguments>: ArgumentGroup {
    public let wrappedValue: Group
    public init() { wrappedValue = Group() }
    var group: Any { wrappedValue }
}

/// An `OptionGroup` of any type.
protocol ArgumentGroup {
    var group: Any { get }
}
