//! A simulated world: clients that arrive whatever happens, the house, and an upstream that works on so many at once.
//!
//! Time is a number. Arrivals are open-loop (nobody waits for his answer before he asks again), service times are
//! exponential, and what the house lets through beyond the upstream's slots waits inside the upstream, unseen. Everything
//! follows from the seed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use admission::{Admission, Capacity, Class, Place, Seat, Shed, Who};

/// Requests of one kind.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) class: Class,
    /// Requests a second, by the second of the simulation.
    pub(crate) rate: fn(f64) -> f64,
    /// How many clients they come from, and from which number on.
    pub(crate) clients: u64,
    pub(crate) first_client: u64,
    /// How much longer than others they take.
    pub(crate) weight: f64,
}

/// How service times vary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Exponential,
    /// Nine of ten a quarter of the mean, the tenth nearly eight times.
    TwoKinds,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) class: Class,
    pub(crate) client: u64,
    pub(crate) arrived: f64,
    /// Seconds to the end of its answer; nothing where it was shed.
    pub(crate) took: Option<f64>,
    weight: f64,
    pub(crate) shed: Option<Shed>,
}

/// What is simulated.
pub(crate) struct Scene {
    pub(crate) capacity: Capacity,
    pub(crate) slots: usize,
    /// Mean seconds of service, by the second of the simulation.
    pub(crate) service: fn(f64) -> f64,
    pub(crate) times: Times,
    /// Whether it refuses everything, by the second of the simulation; in a millisecond.
    pub(crate) refuses: fn(f64) -> bool,
    pub(crate) seconds: f64,
    pub(crate) loads: Vec<Load>,
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Rests(usize),
    Served(usize),
    GivesUp(usize),
}

struct World {
    house: Arc<Admission>,
    began: Instant,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    random: u64,
    requests: Vec<Request>,
    seats: HashMap<usize, (Seat, u64)>,
    places: HashMap<usize, Place>,
    woken: Arc<Mutex<Vec<usize>>>,
    busy: usize,
    inside: VecDeque<usize>,
    limits: Vec<u32>,
}

struct Woken(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Every request, and the limit at the end of every second.
pub(crate) struct Outcome {
    pub(crate) requests: Vec<Request>,
    pub(crate) limits: Vec<u32>,
}

impl Scene {
    pub(crate) fn play(&self) -> Outcome {
        let began = Instant::now();
        let mut world = World {
            house: Admission::new(self.capacity, began, self.seed),
            began,
            now: 0,
            events: BinaryHeap::new(),
            order: 0,
            random: self.seed,
            requests: Vec::new(),
            seats: HashMap::new(),
            places: HashMap::new(),
            woken: Arc::default(),
            busy: 0,
            inside: VecDeque::new(),
            limits: Vec::new(),
        };
        for load in 0..self.loads.len() {
            world.next_arrival(self, load);
        }
        let end = (self.seconds * 1e9) as u64;
        while let Some(Reverse((at, _, event))) = world.events.pop() {
            if at > end {
                break;
            }
            world.now = at;
            while world.limits.len() as u64 * 1_000_000_000 <= at {
                world.limits.push(world.house.limit());
            }
            world.happens(self, event);
            world.seat_the_woken(self);
        }
        // Those on their way at the end are nobody's fault.
        let open: Vec<usize> = world.seats.keys().chain(world.places.keys()).copied().collect();
        let now = world.instant();
        world.seats.drain().for_each(|(_, (seat, _))| seat.leave(now));
        world.places.drain().for_each(|(_, place)| place.leave(now));
        let requests = world.requests.into_iter().enumerate().filter(|(id, _)| !open.contains(id));
        Outcome { requests: requests.map(|(_, request)| request).collect(), limits: world.limits }
    }
}

impl World {
    fn happens(&mut self, scene: &Scene, event: Event) {
        match event {
            Event::Arrives(load) => {
                self.next_arrival(scene, load);
                self.arrives(scene, &scene.loads[load]);
            }
            Event::Rests(load) => self.next_arrival(scene, load),
            Event::Served(id) => {
                self.busy -= 1;
                let (seat, began) = self.seats.remove(&id).unwrap();
                if (scene.refuses)(self.seconds()) {
                    seat.refused(None, self.instant());
                } else {
                    seat.answered(Duration::from_nanos(self.now - began), self.instant());
                    self.requests[id].took = Some(self.seconds() - self.requests[id].arrived);
                }
                seat.leave(self.instant());
                if let Some(next) = self.inside.pop_front() {
                    self.serve(scene, next);
                }
            }
            Event::GivesUp(id) => {
                if let Some(place) = self.places.remove(&id) {
                    place.leave(self.instant());
                    self.requests[id].shed = Some(Shed::Deadline);
                }
            }
        }
    }

    fn arrives(&mut self, scene: &Scene, load: &Load) {
        let client = load.first_client + self.draw() % load.clients;
        let who = Who { class: load.class, client: client.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
        let id = self.requests.len();
        let arrived = self.seconds();
        self.requests.push(Request { class: load.class, client, arrived, took: None, weight: load.weight, shed: None });
        if let Some(seat) = self.house.try_enter(who, self.instant()) {
            return self.seated(scene, id, seat);
        }
        match self.house.line_up(who, self.instant()) {
            Err(shed) => self.requests[id].shed = Some(shed),
            Ok(place) => {
                let until = place.until();
                self.places.insert(id, place);
                self.look(scene, id);
                if self.places.contains_key(&id) {
                    let at = (until - self.began).as_nanos() as u64;
                    self.schedule(at, Event::GivesUp(id));
                }
            }
        }
    }

    /// Looks whether a waiter was told something, and asks to be woken when it is.
    fn look(&mut self, scene: &Scene, id: usize) {
        let Some(place) = self.places.get_mut(&id) else { return };
        let waker = Waker::from(Arc::new(Woken(id, self.woken.clone())));
        match Pin::new(place).poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(told) => {
                self.places.remove(&id);
                match told {
                    Ok(seat) => self.seated(scene, id, seat),
                    Err(shed) => self.requests[id].shed = Some(shed),
                }
            }
        }
    }

    fn seat_the_woken(&mut self, scene: &Scene) {
        loop {
            let woken = std::mem::take(&mut *self.woken.lock().unwrap());
            if woken.is_empty() {
                return;
            }
            woken.into_iter().for_each(|id| self.look(scene, id));
        }
    }

    fn seated(&mut self, scene: &Scene, id: usize, seat: Seat) {
        self.seats.insert(id, (seat, self.now));
        if self.busy < scene.slots {
            self.serve(scene, id);
        } else {
            self.inside.push_back(id);
        }
    }

    fn serve(&mut self, scene: &Scene, id: usize) {
        self.busy += 1;
        let mean = (scene.service)(self.seconds()) * self.requests[id].weight;
        let seconds = match scene.times {
            _ if (scene.refuses)(self.seconds()) => 0.001,
            Times::Exponential => self.exponential(mean),
            Times::TwoKinds if self.draw().is_multiple_of(10) => 7.75 * mean,
            Times::TwoKinds => 0.25 * mean,
        };
        let at = self.now + (seconds * 1e9) as u64;
        self.schedule(at, Event::Served(id));
    }

    fn next_arrival(&mut self, scene: &Scene, load: usize) {
        let rate = (scene.loads[load].rate)(self.seconds());
        // Where nobody asks now, look again in a hundredth of a second.
        let wait = if rate > 0.0 { self.exponential(1.0 / rate) } else { 0.01 };
        let at = self.now + (wait * 1e9) as u64;
        self.schedule(at, if rate > 0.0 { Event::Arrives(load) } else { Event::Rests(load) });
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_nanos(self.now)
    }

    fn seconds(&self) -> f64 {
        self.now as f64 / 1e9
    }

    /// splitmix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        let uniform = ((self.draw() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        -mean * uniform.ln()
    }
}

impl Outcome {
    /// Of a class, from this second to that.
    pub(crate) fn of(&self, class: Class, from: f64, to: f64) -> Figures {
        let all: Vec<&Request> =
            self.requests.iter().filter(|one| one.class == class && (from..to).contains(&one.arrived)).collect();
        let mut took: Vec<f64> = all.iter().filter_map(|one| one.took).collect();
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        // Who waited for more than a second has given up.
        let in_time = took.iter().filter(|took| **took <= 1.0).count();
        Figures { asked: all.len(), served: in_time as f64 / all.len().max(1) as f64, median: at(0.5), p99: at(0.99) }
    }
}

/// What became of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) asked: usize,
    /// The share that was answered within a second.
    pub(crate) served: f64,
    /// Seconds.
    pub(crate) median: f64,
    pub(crate) p99: f64,
}
