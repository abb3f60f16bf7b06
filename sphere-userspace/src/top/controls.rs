//! What a person chose to see: keys become the view, its order, and whether it stands still.

/// One of the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Something of everything.
    Overview,
    /// Devices.
    Devices,
    /// What is denied.
    Denials,
    /// Names in trouble.
    Names,
    /// Fill of the tables.
    Tables,
    /// What was lost.
    Losses,
}

impl View {
    /// Every view, in the order of its digit.
    pub const ALL: [Self; 6] = [Self::Overview, Self::Devices, Self::Denials, Self::Names, Self::Tables, Self::Losses];

    /// Word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Devices => "devices",
            Self::Denials => "denials",
            Self::Names => "names",
            Self::Tables => "tables",
            Self::Losses => "losses",
        }
    }

    /// The orders in which its lines can stand; the first is the usual one.
    #[must_use]
    pub const fn orders(self) -> &'static [Order] {
        match self {
            Self::Overview => &[Order::Rate, Order::Total, Order::Recent],
            Self::Devices => &[Order::Rate, Order::Received, Order::Total, Order::Flows, Order::Recent, Order::Name],
            Self::Denials => &[Order::Rate, Order::Total, Order::Recent, Order::Name],
            Self::Names => &[Order::Worst, Order::Name],
            Self::Tables => &[Order::Fill, Order::Name],
            Self::Losses => &[Order::Rate, Order::Total],
        }
    }
}

/// An order of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What is denied fastest, or lost, first.
    Rate,
    /// What receives most, first.
    Received,
    /// The highest total first.
    Total,
    /// The latest first.
    Recent,
    /// The most open flows first.
    Flows,
    /// By address or name.
    Name,
    /// The worst first.
    Worst,
    /// The fullest first.
    Fill,
}

impl Order {
    /// Word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Received => "received",
            Self::Total => "total",
            Self::Recent => "latest",
            Self::Flows => "flows",
            Self::Name => "name",
            Self::Worst => "worst",
            Self::Fill => "fill",
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// To end.
    Quit,
    /// To close the help, or to end.
    Back,
    /// The view with this digit, from 1.
    Digit(usize),
    /// The next view.
    Next,
    /// The view before.
    Previous,
    /// To stand still, or to go on.
    Pause,
    /// Another order.
    Sort,
    /// The help.
    Help,
}

/// What comes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum What {
    /// It goes on.
    Goes,
    /// It ends.
    Ends,
}

/// What a person chose.
#[derive(Clone, Copy, Debug)]
pub struct Controls {
    /// The view.
    pub view: View,
    /// Whether it stands still.
    pub paused: bool,
    /// Whether the help is shown.
    pub help: bool,
    /// The order of each view: a place in [`View::orders`].
    orders: [usize; View::ALL.len()],
}

impl Default for Controls {
    fn default() -> Self {
        Self { view: View::Overview, paused: false, help: false, orders: [0; View::ALL.len()] }
    }
}

impl Controls {
    /// Does what a key asks for.
    pub fn press(&mut self, key: Key) -> What {
        let at = self.view as usize;
        let count = View::ALL.len();
        match key {
            Key::Quit => return What::Ends,
            Key::Back if !self.help => return What::Ends,
            Key::Back => self.help = false,
            Key::Help => self.help = !self.help,
            Key::Pause => self.paused = !self.paused,
            Key::Sort => self.orders[at] = (self.orders[at] + 1) % self.view.orders().len(),
            Key::Next => self.show(View::ALL[(at + 1) % count]),
            Key::Previous => self.show(View::ALL[(at + count - 1) % count]),
            Key::Digit(digit) => {
                if let Some(view) = digit.checked_sub(1).and_then(|at| View::ALL.get(at)) {
                    self.show(*view);
                }
            }
        }
        What::Goes
    }

    /// The order of the view.
    #[must_use]
    pub fn order(&self) -> Order {
        let orders = self.view.orders();
        orders.get(self.orders[self.view as usize]).copied().unwrap_or(orders[0])
    }

    fn show(&mut self, view: View) {
        (self.view, self.help) = (view, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_choose_the_view_its_order_and_whether_it_stands_still() {
        let mut controls = Controls::default();
        for (key, view) in [
            (Key::Next, View::Devices),
            (Key::Digit(6), View::Losses),
            (Key::Next, View::Overview),
            (Key::Previous, View::Losses),
            (Key::Digit(7), View::Losses),
            (Key::Digit(0), View::Losses),
            (Key::Digit(2), View::Devices),
        ] {
            assert_eq!((controls.press(key), controls.view), (What::Goes, view), "{key:?}");
        }
        let mut orders = Vec::new();
        for _ in 0..=View::Devices.orders().len() {
            orders.push(controls.order());
            assert_eq!(controls.press(Key::Sort), What::Goes);
        }
        assert_eq!(orders[..orders.len() - 1], *View::Devices.orders());
        assert_eq!(orders.last(), orders.first());
        assert_eq!(controls.press(Key::Pause), What::Goes);
        assert!(controls.paused);
    }

    #[test]
    fn escape_closes_the_help_before_it_ends() {
        let mut controls = Controls::default();
        assert_eq!(controls.press(Key::Help), What::Goes);
        assert_eq!((controls.press(Key::Back), controls.help), (What::Goes, false));
        assert_eq!(controls.press(Key::Back), What::Ends);
        assert_eq!(Controls { help: true, ..controls }.press(Key::Quit), What::Ends);
    }
}
