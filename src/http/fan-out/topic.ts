import { setTimeout as sleep } from 'node:timers/promises'
import { isShareable, type PullIterator, type Shareable } from '../../engine/wakeups/pull-iterator.js'

/** What a subscription follows. */
export type Reader = PullIterator<object>

/** A viewer as its topic sees it. */
export interface Viewer {
  /** From now on the topic sends. */
  goLive(): void
  /** Sends to a live one, as much as a client that keeps up takes. Gives what is left. */
  show(messages: readonly Buffer[]): readonly Buffer[]
  /** The topic sends no more: it goes on with `backlog` and then with `reader`. Null: then it is complete. */
  goOn(backlog: readonly Buffer[], reader: Reader | null): void
  /** Ends it with an error. */
  fail(error: unknown): void
}

/** Up to so many viewers each event is sent as it comes. */
const FEW_VIEWERS = 40
/** For more, those that come faster than this … */
const BUSY_MS = 100
/** … gather for so long after each broadcast: to read them and to send them together costs each of them less. */
const GATHER_MS = 50
/** A broadcast leaves half of the processor to others, up to this. */
const MAX_PAUSE_MS = 100

/** What live viewers are shown together. */
interface Broadcast {
  readonly reader: Shareable<object>
  /** Its viewers have got what comes before it, and nothing else. */
  position: string
  readonly viewers: Set<Viewer>
}

/** One that is behind, and where it stands until its reader gives the next page. */
interface Waiting {
  readonly reader: Reader
  readonly position: string
}

/**
 * The viewers that are to see the same: one read, one execution and one serialisation of each event, however many they
 * are. The first one's reader becomes the topic's; who comes later reads by itself until it stands where that stands.
 */
export class Topic {
  readonly #viewers = new Set<Viewer>()
  readonly #waiting = new Map<Viewer, Waiting>()
  readonly #messages = new WeakMap<object, Promise<Buffer>>()
  #broadcast: Broadcast | null = null

  constructor(
    /** Executes the subscription for one event, and gives the payload and the message's end. */
    private readonly serialise: (entry: object) => Promise<Buffer>,
    private readonly onEmpty: () => void = () => undefined,
  ) {}

  messagesOf(page: readonly object[]): Promise<Buffer[]> {
    return Promise.all(page.map((entry) => this.#messageOf(entry)))
  }

  enter(viewer: Viewer): void {
    this.#viewers.add(viewer)
  }

  /**
   * Makes a viewer live that has been sent all that its reader has given. False: the topic stands somewhere else; when it
   * comes to where the viewer stands, and the viewer has read no further, it makes it live and ends its reader.
   */
  admit(viewer: Viewer, reader: Reader): boolean {
    if (!isShareable(reader)) return false
    const position = reader.position()
    if (!this.#broadcast) {
      this.#broadcast = { reader, position, viewers: new Set() }
      this.#join(this.#broadcast, viewer)
      void this.#run(this.#broadcast)
      return true
    }
    if (this.#broadcast.position !== position) {
      this.#waiting.set(viewer, { reader, position })
      return false
    }
    this.#join(this.#broadcast, viewer)
    void reader.return()
    return true
  }

  /** It has read on, and cannot be made live before it asks again. */
  withdraw(viewer: Viewer): void {
    this.#waiting.delete(viewer)
  }

  leave(viewer: Viewer): void {
    this.withdraw(viewer)
    const broadcast = this.#broadcast
    if (broadcast?.viewers.delete(viewer)) {
      broadcast.reader.shownTo(broadcast.viewers.size)
      if (broadcast.viewers.size === 0) this.#end(broadcast)
    }
    if (this.#viewers.delete(viewer) && this.#viewers.size === 0) this.onEmpty()
  }

  #messageOf(entry: object): Promise<Buffer> {
    const known = this.#messages.get(entry) ?? this.serialise(entry)
    this.#messages.set(entry, known)
    return known
  }

  #join(broadcast: Broadcast, viewer: Viewer): void {
    broadcast.viewers.add(viewer)
    broadcast.reader.shownTo(broadcast.viewers.size)
    viewer.goLive()
  }

  async #run(broadcast: Broadcast): Promise<void> {
    const { reader, viewers } = broadcast
    let endedAt = -Infinity
    try {
      while (viewers.size > 0) {
        const messages = await this.messagesOf(await reader.nextPage())
        const startedAt = performance.now()
        this.#show(broadcast, messages)
        if (reader.isDone) return
        const isBusy = messages.length > 1 || startedAt - endedAt < BUSY_MS
        endedAt = performance.now()
        const tookMs = Math.min(endedAt - startedAt, MAX_PAUSE_MS)
        const pauseMs = isBusy && viewers.size > FEW_VIEWERS ? Math.max(tookMs, GATHER_MS) : tookMs
        if (pauseMs >= 1) await sleep(pauseMs)
      }
    } catch (error) {
      for (const viewer of [...viewers]) viewer.fail(error)
    } finally {
      this.#end(broadcast)
      for (const viewer of viewers) viewer.goOn([], null)
    }
  }

  /** In one turn, so that nobody joins between what is sent and the position that says so. */
  #show({ reader, viewers }: Broadcast, messages: readonly Buffer[]): void {
    for (const viewer of viewers) {
      const backlog = viewer.show(messages)
      if (backlog.length === 0) continue
      viewers.delete(viewer)
      viewer.goOn(backlog, reader.isDone ? null : reader.fork())
    }
    if (this.#broadcast?.reader !== reader || reader.isDone) return
    this.#broadcast.position = reader.position()
    for (const [viewer, waiting] of this.#waiting) {
      if (waiting.position !== this.#broadcast.position) continue
      this.#waiting.delete(viewer)
      this.#join(this.#broadcast, viewer)
      void waiting.reader.return()
    }
    reader.shownTo(viewers.size)
  }

  /** Who joins next begins a new one. */
  #end(broadcast: Broadcast): void {
    if (this.#broadcast === broadcast) this.#broadcast = null
    void broadcast.reader.return()
  }
}
