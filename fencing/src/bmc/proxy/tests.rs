use super::*;

fn signed(key: &KeyPair) -> SignedOrder {
    let order = Order {
        cluster: Uuid::from_u128(1),
        proxy: NodeId(Uuid::from_u128(2)),
        controller: ControllerId(1),
        challenge: [5; CHALLENGE],
        to: ([10, 9, 0, 11], 623).into(),
        how: Transport::Udp,
        left_ms: 9_000,
    };
    order.sign(key)
}

#[test]
fn an_order_is_its_controllers_and_no_bit_of_it_may_differ() {
    let key = KeyPair::from_seed([1; 32]);
    let keys = [(ControllerId(1), key.public())];
    let bytes = signed(&key).to_bytes();
    assert!(bytes.len() <= LONGEST_ORDER);
    assert!(SignedOrder::parse(&bytes).is_some_and(|order| order.is_signed(&keys)));
    for place in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[place / 8] ^= 1 << (place % 8);
        let read = SignedOrder::parse(&changed).filter(|order| *order != signed(&key));
        assert!(!read.is_some_and(|order| order.is_signed(&keys)), "bit {place}");
    }
}

#[test]
fn the_key_of_one_controller_does_not_sign_for_another() {
    let (one, two) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]));
    let keys = [(ControllerId(1), one.public()), (ControllerId(2), two.public())];
    assert!(!signed(&two).is_signed(&keys), "it names controller 1");
    assert!(!signed(&one).is_signed(&keys[1..]), "it is not known");
}

#[test]
fn a_refusal_survives_the_wire() {
    for refusal in Refusal::ALL {
        assert_ne!(refusal.code(), GOES_ON);
        assert_eq!(Refusal::of_code(refusal.code()), Some(refusal));
    }
    assert_eq!(Refusal::of_code(GOES_ON), None);
}
