//! The rules that can be broken, one at a time.

use super::scope::{
    AGAIN, CANCEL, DRILL, ELECTORATE, HEIRS, LATE, MIRROR, PEERS, SETS, Scope, TRIO, WATCH,
};

macro_rules! mutants {
    ($($name:ident: $breaks:literal, $scope:ident, $number:literal;)*) => {
        /// One break.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Mutant {
            $(#[doc = $breaks] $name,)*
        }

        impl Mutant {
            /// All.
            pub const ALL: &[Mutant] = &[$(Mutant::$name,)*];

            /// What it breaks, as half a sentence.
            pub fn breaks(self) -> &'static str {
                match self { $(Mutant::$name => $breaks,)* }
            }

            /// The bounds in which it is looked for.
            pub fn scope(self) -> Scope {
                match self { $(Mutant::$name => $scope,)* }
            }

            /// Its number in the list of mutants of the simulator, if it has one.
            pub fn number(self) -> &'static str {
                match self { $(Mutant::$name => $number,)* }
            }
        }
    };
}

mutants! {
    TwoW: "two W in the waits, not three", WATCH, "M01";
    OneW: "one W in the waits", WATCH, "M01";
    NoQuiet: "no K in the waits", WATCH, "";
    NoMargin: "nothing in the waits for a clock that runs ahead", WATCH, "";
    LeaseFromReceipt: "the lease counts from the receipt of the ack", LATE, "M02";
    FeedFromTimer: "a timer feeds, whoever stands for the node", WATCH, "M03";
    AnyAck: "the ack of any one controller is a lease", WATCH, "M04";
    ForgetsPromise: "a controller forgets its promise in a restart", WATCH, "M05";
    AcksAfterIntent: "acks go on after the intent", WATCH, "M06";
    WaitFromProposal: "the wait begins with the leader's own entry, not with the commit", WATCH, "M07";
    OpensWithoutLease: "a restarted sentinel opens the device without a lease", WATCH, "M62";
    HeirKeepsT0: "a new leader counts T0 from the commit although the controller set changed", HEIRS, "";
    NoPromise: "no promise of peers is needed", PEERS, "M46";
    NoWaitAfterPromise: "no wait wC after the promise", PEERS, "M47";
    NoVerify: "no VERIFY", PEERS, "M48";
    VerifyAnyBoot: "VERIFY is accepted from another boot", PEERS, "M49";
    LatePromiserCounts: "VERIFY is accepted from one whose promise is younger than wC", TRIO, "";
    VouchFromReceipt: "a vouch counts from its receipt", PEERS, "M50";
    OnePromiseLess: "q - 1 promises suffice", PEERS, "M53";
    OneVouchLess: "v - 1 vouches suffice", PEERS, "M54";
    VouchesThoughKnown: "a voter vouches although it knows the intent", PEERS, "M55";
    ReportsEarly: "a voter reports n before it has adopted it", PEERS, "M56";
    PresentVersion: "promises are counted in the present version only", ELECTORATE, "M52";
    FloorNotFrozen: "the floor is the node's latest report, not the one in the intent", ELECTORATE, "M59";
    PresentSet: "T0 looks at the present controller set only", SETS, "M12";
    RemovedAcks: "a removed controller acks again", SETS, "";
    ArmedBeforeOpen: "`Armed` is committed before the device is open", MIRROR, "M58";
    ClosesEarly: "the device is closed before `Disarmed` is committed", MIRROR, "M11";
    NoRearmFloor: "a renewal from before the disarm arms the node again", MIRROR, "";
    FeedsAfterDrill: "a drill that was given up feeds again although nobody stands for the node", DRILL, "";
    PromiseOfAnother: "promises for an intent that was given up count for the next", AGAIN, "";
    T0OfAnother: "T0 of an intent that was given up counts for the next", CANCEL, "";
    CancelledWhenHeld: "a controller acks again before the end of the intent is committed", CANCEL, "";
    UnarmedCounts: "E2 without `Armed`", MIRROR, "M23";
}
