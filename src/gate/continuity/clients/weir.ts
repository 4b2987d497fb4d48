/**
 * What works now, for apps in front of a Weir gateway: which journeys are open, need one more proof, are for looking only, by
 * phone, or closed, until when, with the words for the customer; and what it says when it holds a request back. No
 * dependencies: needs `fetch`, `TextDecoder` and `AbortController`.
 *
 * Print this file with `weir client --typescript`, and keep it with your own sources.
 */

/** How a journey would be met now. Treat a word that you do not know as `closed`. */
export type State = "open" | "proof" | "read_only" | "by_phone" | "closed";

/** One more proof. */
export interface StepUpExit {
  kind: "step_up";
  /** Where, for a browser. */
  url?: string;
  /** RFC 9470: most wanted first. */
  acr_values: string;
  /** Seconds, when freshness is what is missing. */
  max_age?: number;
}

/** Come back. */
export interface WaitExit {
  kind: "wait";
  seconds: number;
}

/** Look at this instead. */
export interface ReadExit {
  kind: "read";
  url: string;
}

/** Reach a person. */
export interface ContactExit {
  kind: "contact";
  phone?: string;
  relay?: string;
  chat?: string;
  /** Opening hours, as `Mo-Su 08:00-20:00 Europe/London`. */
  hours?: string;
  /** Open now, and with room. */
  open: boolean;
  /** RFC 3339: when it opens next. */
  opens?: string;
  /** What there is while it is closed or full. */
  otherwise?: "callback" | "address";
  address?: string;
}

/** A way forward. */
export type Exit = StepUpExit | WaitExit | ReadExit | ContactExit;

/** One journey. */
export interface Journey {
  name: string;
  state: State;
  /** RFC 3339: until when, where anybody knows. */
  until?: string;
  /** One line, for beside a button. Not there while the journey is open. */
  headline?: string;
  /** What a customer would read who tries now. */
  detail?: string;
  exits?: Exit[];
}

/** Everything that is told. */
export interface Journeys {
  /** RFC 3339: when it was true. */
  as_of: string;
  /** Whether it is about the signed-in customer, or the same for everybody. */
  about: "you" | "everybody";
  journeys: Journey[];
}

/** Why a request was held back. These never change; there may be more one day. */
export type ProblemType =
  | "urn:weir:problem:step-up"
  | "urn:weir:problem:read-only"
  | "urn:weir:problem:throttle"
  | "urn:weir:problem:handoff"
  | "urn:weir:problem:denied"
  | "urn:weir:problem:automation-narrowed"
  | "urn:weir:problem:refused"
  | "urn:weir:problem:busy"
  | "urn:weir:problem:upstream"
  | "urn:weir:problem:invalid-token"
  | "urn:weir:problem:return"
  | "urn:weir:problem:too-large"
  | "urn:weir:problem:too-slow"
  | "urn:weir:problem:incomplete"
  | "urn:weir:problem:method"
  | "urn:weir:problem:method-override"
  | "urn:weir:problem:target"
  | "urn:weir:problem:unknown-site"
  | "urn:weir:problem:host"
  | "urn:weir:problem:request"
  | "urn:weir:problem:internal";

/** What Weir answers itself, as `application/problem+json` (RFC 9457), in the language of `Accept-Language`. */
export interface Problem {
  type: ProblemType;
  /** One line for the customer. */
  title: string;
  status: number;
  /** What it means for the customer, and what happened to what they entered. */
  detail: string;
  instance: string;
  /** What the customer quotes. */
  reference: string;
  /** Whether the same request may succeed later without anything else; not before `Retry-After`. */
  retryable: boolean;
  /** RFC 3339: until when the reference of a handoff holds, or automation is kept out. */
  until?: string;
  /** A person continues, and asks for this reference. */
  handoff?: { reference: string | null; expires: string | null };
  /** What automation may still use. */
  only?: { name: string; routes: string[] }[];
  /** What the company never asks for. */
  never_asks: string;
  /** The ways on; never empty. */
  exits: Exit[];
}

/** The problem in an answer; nothing where the answer is the application's own. */
export async function problemOf(answer: Response): Promise<Problem | undefined> {
  if (!(answer.headers.get("content-type") ?? "").startsWith("application/problem+json")) return undefined;
  const told = (await answer.clone().json()) as Problem;
  return typeof told.type === "string" && told.type.startsWith("urn:weir:problem:") ? told : undefined;
}

/** Where and how to ask. */
export interface Options {
  /** The site, as `https://shop.example`; where the page came from when left out. */
  base?: string;
  /** Header fields of every request, asked for anew each time: a token changes. */
  headers?: () => Record<string, string> | Promise<Record<string, string>>;
  /** Whether cookies go along to another origin. */
  credentials?: "omit" | "same-origin" | "include";
  /** The languages that the customer reads, as in `Accept-Language`. */
  language?: string;
  /** Another `fetch`, for tests and for platforms of their own. */
  fetch?: typeof fetch;
}

/** Weir said no for now. */
export class Unavailable extends Error {
  constructor(
    readonly status: number,
    /** Seconds until it is worth asking again. */
    readonly retryAfter: number,
  ) {
    super(`what works now cannot be told (${status})`);
  }
}

const PATH = "/.well-known/weir/journeys";
const FIRST_WAIT = 5;
const LONGEST_WAIT = 300;
const POLL_AT_LEAST = 60;

async function ask(options: Options, accept: string, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { ...(await options.headers?.()), accept };
  if (options.language !== undefined) headers["accept-language"] = options.language;
  const init: RequestInit = { headers, credentials: options.credentials ?? "same-origin" };
  if (signal !== undefined) init.signal = signal;
  const answer = await (options.fetch ?? fetch)((options.base ?? "") + PATH, init);
  if (!answer.ok) {
    const told = Number(answer.headers.get("retry-after"));
    throw new Unavailable(answer.status, Number.isFinite(told) && told > 0 ? told : 0);
  }
  return answer;
}

/** What works now, asked once. */
export async function journeys(options: Options = {}, signal?: AbortSignal): Promise<Journeys> {
  return (await (await ask(options, "application/json", signal)).json()) as Journeys;
}

/** Whether a customer can begin this now: a change by default, or a look. */
export function canBegin(told: Journeys, name: string, what: "change" | "look" = "change"): boolean {
  const journey = told.journeys.find((one) => one.name === name);
  // What is not told of is not constrained by what is told.
  if (journey === undefined || journey.state === "open" || journey.state === "proof") return true;
  return journey.state === "read_only" && what === "look";
}

/**
 * Calls `changed` at once and at each change, until the returned function is called. Listens to events; where they do not come
 * through, asks again and again, less and less often.
 */
export function subscribe(options: Options, changed: (told: Journeys) => void): () => void {
  const over = new AbortController();
  void run(options, changed, over.signal);
  return () => over.abort();
}

async function run(options: Options, changed: (told: Journeys) => void, signal: AbortSignal): Promise<void> {
  let wait = 0;
  while (!signal.aborted) {
    let told = 0;
    try {
      for await (const event of events(await ask(options, "text/event-stream", signal))) {
        wait = 0;
        changed(event);
      }
    } catch (error) {
      if (error instanceof Unavailable) told = error.retryAfter;
      try {
        if (!signal.aborted) {
          changed(await journeys(options, signal));
          wait = Math.min(wait, POLL_AT_LEAST / 2);
        }
      } catch (again) {
        if (again instanceof Unavailable) told = Math.max(told, again.retryAfter);
      }
    }
    wait = Math.min(wait === 0 ? FIRST_WAIT : wait * 2, LONGEST_WAIT);
    await pause(Math.max(told, wait * (0.75 + Math.random() / 2)), signal);
  }
}

/** The events of an answer, as they come (the server-sent events of the HTML standard, as far as Weir writes them). */
async function* events(answer: Response): AsyncGenerator<Journeys> {
  const reader = answer.body?.getReader();
  if (reader === undefined) throw new Unavailable(answer.status, 0);
  const decoder = new TextDecoder();
  let read = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    read += decoder.decode(value, { stream: true });
    for (let end = read.indexOf("\n\n"); end >= 0; end = read.indexOf("\n\n")) {
      const lines = read.slice(0, end).split("\n");
      read = read.slice(end + 2);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (data.length > 0) yield JSON.parse(data.join("\n")) as Journeys;
    }
  }
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, seconds * 1000);
    signal.addEventListener("abort", end);
  });
}
