// The page's one object: it owns the state and lets frames, HTTP answers and people change it
// only through `apply`.

import { devToken } from './api/session';
import { isThere, postCursor, postMessage } from './api/talk';
import { Actions } from './actions';
import type { Ending } from './closes';
import { Compose } from './compose.svelte';
import { Connection, type Link } from './connection';
import { CursorReports } from './cursors';
import { Drafts } from './drafts.svelte';
import { Ends } from './ends';
import { Files } from './files.svelte';
import { Histories } from './histories.svelte';
import type { Host } from './host';
import { Outbox, type OutboxItem } from './outbox';
import { Own } from './own.svelte';
import { People } from './people.svelte';
import type { ClientFrame, ServerFrame } from './protocol';
import { Renewal } from './renewal';
import { Search } from './search.svelte';
import { Sessions, type Signed } from './session';
import { browserStore, readJson } from './storage';
import { apply } from './store/apply';
import { nextMoment } from './store/moment';
import { hasOwnMessage, inbox, peerOf } from './store/select';
import { initialState, type Input, type State } from './store/state';
import { recalled } from './transport/chooser';
import { HttpCommands } from './transport/commands';
import { Uploads } from './uploads.svelte';
import { openTransport, type Tab } from './transport/open';

const SYNC_EVERY_MS = 1_000;
const DEFAULT_PAUSE_MS = 2_000;
/** For the server to show that it is there, over plain HTTP. */
const THERE_WITHIN_MS = 4_000;
const TRANSPORT = 'parley.transport';

export class App {
  signed = $state.raw<Signed | null>(null);
  state = $state.raw<State>(initialState(''));
  outbox = $state.raw<readonly OutboxItem[]>([]);
  link = $state.raw<Link>({ state: 'connecting' });
  /** Why the last session ended, when the person did not end it. */
  ending = $state.raw<Ending | null>(null);
  /** The conversation whose end is under the person's eyes. */
  reading = $state<string | null>(null);
  people = new People((frame) => this.#send(frame));

  #tab = browserStore(() => sessionStorage);
  #sessions = new Sessions(browserStore(() => localStorage), this.#tab);
  #renewal = new Renewal({
    sessions: this.#sessions,
    signed: () => this.signed,
    renewed: (signed) => (this.signed = signed),
    ended: () => this.#ended('signed-out'),
  });
  #host: Host = hostOf(this, (input) => this.#dispatch(input), (call) => this.#renewal.authorized(call));
  readonly actions = new Actions(this.#host);
  readonly own = new Own(this.#host);
  readonly drafts = new Drafts(this.#host, this.#tab);
  readonly histories = new Histories(this.#host, () => this.#settleOutbox());
  readonly compose = new Compose();
  readonly search = new Search(this.#host);
  readonly files = new Files(this.#host);
  readonly uploads = new Uploads({
    host: this.#host,
    store: this.#tab,
    post: ({ id, at, ...message }) => this.#outbox?.put({ clientMessageId: id, createdAt: at, ...message }),
    returned: (id, words) => words && !this.drafts.of(id) && this.drafts.write(id, words),
    here: (id, file) => this.files.keep(id, file),
    newId: () => crypto.randomUUID(),
  });
  /** What was written and is not known to be stored, with what waits for its files. */
  readonly pending = $derived([...this.outbox, ...this.uploads.waiting]);
  #ends = new Ends(() => this.#dispatch({ type: 'local.moment', at: new Date().toISOString() }));
  #cursors = new CursorReports((frame) => this.#send(frame));
  #outbox: Outbox | null = null;
  #connection: Connection | null = null;
  #commands: HttpCommands | null = null;
  #syncTimer: ReturnType<typeof setTimeout> | undefined;
  #syncAskedAt = 0;
  #syncs = 0;

  get me(): string {
    return this.signed?.userId ?? '';
  }

  /** A reload finds the person of this tab again. */
  resume(): void {
    const signed = this.#sessions.current();
    if (signed) this.#begin(signed);
  }

  async signIn(userId: string): Promise<void> {
    const signed = await this.#sessions.begin(await devToken(userId));
    this.ending = null;
    this.#begin(signed);
  }

  signOut(): void {
    this.#outbox?.clear();
    this.uploads.clear();
    this.drafts.clear();
    this.#finish();
  }

  /** The browser's word about the network and the person's attention. */
  network(up: boolean): void {
    this.#connection?.network(up);
  }

  nudge(): void {
    this.#connection?.nudge();
  }

  retryNow(): void {
    this.#connection?.retryNow();
  }

  write(conversationId: string, content: string): void {
    const target = this.compose.of(conversationId);
    this.people.typed(conversationId, false, Date.now());
    const replyTo = target?.kind === 'reply' ? target.seq : undefined;
    if (this.uploads.tray(conversationId)) this.uploads.release(conversationId, content, new Date().toISOString(), replyTo);
    else this.#outbox?.add(conversationId, content, new Date(), replyTo);
    this.compose.set(conversationId, null);
  }

  retry(clientMessageId: string): void {
    if (this.uploads.has(clientMessageId)) this.uploads.retryAll(clientMessageId);
    else this.#outbox?.retry(clientMessageId);
  }

  discard(clientMessageId: string): void {
    if (this.uploads.has(clientMessageId)) this.uploads.discard(clientMessageId);
    else this.#outbox?.discard(clientMessageId);
  }

  /** Seen with the person's own eyes. */
  markRead(conversationId: string, throughSeq: number): void {
    const held = this.state.conversations[conversationId];
    if (held && throughSeq > held.summary.readSeq) this.#cursors.read(conversationId, throughSeq);
  }

  #begin(signed: Signed): void {
    this.signed = signed;
    this.state = initialState(signed.userId);
    this.drafts.restore();
    this.#outbox = new Outbox({
      store: this.#tab,
      key: `parley.outbox.${signed.userId}`,
      send: (frame) => this.#send(frame),
      onChange: (items) => (this.outbox = items),
      random: Math.random,
      newId: () => crypto.randomUUID(),
    });
    this.uploads.restore();
    const commands = new HttpCommands({
      message: (id, message) => this.#renewal.authorized((token) => postMessage(token, id, message)),
      cursor: (id, which, throughSeq) => this.#renewal.authorized((token) => postCursor(token, id, which, throughSeq)),
      onFrame: (frame) => this.#heard(frame),
    });
    const tab: Tab = {
      signed: () => this.signed ?? signed,
      since: () => this.state.token,
      asking: () => this.#dispatch({ type: 'local.syncAsked' }),
      command: (frame) => commands.send(frame),
    };
    this.#commands = commands;
    this.#connection = new Connection({
      open: (name, listener) => openTransport(tab, name, listener),
      asking: tab.asking,
      isThere: () => isThere(tab.signed().sessionToken, this.state.token, THERE_WITHIN_MS),
      recall: () => recalled(readJson(this.#tab, TRANSPORT), Date.now()),
      remember: (choice) => this.#tab.set(TRANSPORT, JSON.stringify(choice)),
      onLink: (link) => this.#linked(link),
      onFrame: (frame) => this.#heard(frame),
      renew: () => this.#renewal.renew(),
      onEnd: (ending) => this.#ended(ending),
      random: Math.random,
    });
    this.#connection.start();
  }

  #finish(): void {
    this.#connection?.stop();
    this.#connection = null;
    this.#commands?.stop();
    this.#commands = null;
    this.#outbox?.offline();
    this.#outbox = null;
    this.#cursors.reset();
    this.people.reset();
    clearTimeout(this.#syncTimer);
    this.#sessions.end();
    this.signed = null;
    this.state = initialState('');
    this.outbox = [];
    this.link = { state: 'connecting' };
    this.#ends.stop();
    this.drafts.reset();
    this.own.reset();
    this.histories.reset();
    this.compose.reset();
    this.search.close();
    this.uploads.reset();
    this.files.reset();
    this.reading = null;
  }

  #ended(ending: Ending): void {
    this.ending = ending;
    if (ending === 'outdated') return;
    if (ending === 'refused') this.#sessions.forgetDevice();
    this.#finish();
  }

  #send(frame: ClientFrame): boolean {
    return this.#connection?.send(frame) ?? false;
  }

  #linked(link: Link): void {
    const was = this.link.state;
    this.link = link;
    if (link.state === 'online') {
      this.#outbox?.online();
      this.drafts.online();
      this.#watchPeople();
    } else if (was === 'online') {
      this.#outbox?.offline();
      this.#cursors.reset();
      this.people.reset();
    }
  }

  #heard(frame: ServerFrame): void {
    this.#dispatch(frame);
    switch (frame.type) {
      case 'caughtUp':
        this.#settleOutbox();
        for (const id of Object.keys(this.state.conversations)) this.#reportDelivered(id);
        break;
      case 'event': {
        const { subject, actor, data, type } = frame.event;
        this.#reportDelivered(subject);
        if (type !== 'message.sent') break;
        this.people.stopped(subject, actor);
        if (actor === this.me && typeof data.clientMessageId === 'string') this.#settleOutbox();
        this.#watchPeople();
        break;
      }
      case 'message.ack':
        this.#outbox?.acknowledged(frame);
        this.#settleOutbox();
        break;
      case 'ack':
        this.#cursors.answered(frame.ref);
        break;
      case 'error':
        this.#refused(frame);
        break;
      case 'typing':
      case 'presence':
        this.people.heard(frame);
        break;
    }
  }

  #refused(error: Extract<ServerFrame, { type: 'error' }>): void {
    if (this.#outbox?.refused(error)) return;
    const transient = error.retryAfterMs > 0 || error.code === 'unavailable';
    const pause = Math.max(error.retryAfterMs, DEFAULT_PAUSE_MS);
    if (error.ref?.startsWith('sync-')) this.#askSync(pause);
    else this.#cursors.answered(error.ref, transient ? pause : undefined);
  }

  #dispatch(input: Input): void {
    const next = apply(this.state, input);
    if (next === this.state) return;
    this.state = next;
    this.#ends.next(nextMoment(next));
    if (next.sync === 'wanted') this.#askSync(Math.max(0, this.#syncAskedAt + SYNC_EVERY_MS - Date.now()));
  }

  #askSync(afterMs: number): void {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = setTimeout(() => {
      this.#syncAskedAt = Date.now();
      // Events sent again may have filled the jump meanwhile. Without a connection the next hello asks.
      if (this.state.sync === 'idle') return;
      if (this.#send({ type: 'sync', ref: `sync-${++this.#syncs}`, since: this.state.token })) {
        this.#dispatch({ type: 'local.syncAsked' });
      }
    }, afterMs);
  }

  #reportDelivered(conversationId: string): void {
    const summary = this.state.conversations[conversationId]?.summary;
    if (summary && summary.deliveredSeq < summary.lastSeq) this.#cursors.delivered(conversationId, summary.lastSeq);
  }

  #settleOutbox(): void {
    for (const item of this.outbox) {
      if (hasOwnMessage(this.state, item.conversationId, item.clientMessageId)) this.#outbox?.stored(item.clientMessageId);
    }
  }

  #watchPeople(): void {
    const peers = inbox(this.state).map(({ summary }) => peerOf(summary.conversationId, this.me));
    this.people.watch(peers.filter((peer) => peer !== null));
  }
}

/** What the parts may do, without the rest of the app. */
const hostOf = (app: App, dispatch: Host['dispatch'], authorized: Host['authorized']): Host => ({
  get me() {
    return app.me;
  },
  get state() {
    return app.state;
  },
  dispatch,
  authorized,
});

export const app = new App();
