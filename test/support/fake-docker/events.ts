import { type Dialect, without } from './generations.js'
import type { FakeContainer, FakeImage, Labels } from './model.js'

export interface EngineEvent {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Labels }
  readonly time: number
  readonly timeNano: number
}

/** Names of filters with their values; all names must match, of a name's values one (of labels all). */
export type Filters = ReadonlyMap<string, readonly string[]>

type Listener = (event: EngineEvent) => void

/** What happened, and who listens. */
export class Events {
  /** Oldest first. */
  readonly past: EngineEvent[] = []
  readonly #listeners = new Set<Listener>()
  #last = 0

  constructor(private readonly dialect: Dialect) {}

  get listeners(): number {
    return this.#listeners.size
  }

  container(container: FakeContainer, action: string, more: Labels = {}): void {
    const { id, name, image, labels } = container
    this.#emit('container', action, id, image, { ...labels, ...more, image, name })
  }

  image(image: FakeImage, action: string, name: string): void {
    // Of an image that is gone the real engine knows no labels any more.
    const labels = action === 'delete' ? {} : image.labels
    this.#emit('image', action, image.id, null, { ...labels, name })
  }

  network(id: string, name: string, action: string, more: Labels = {}): void {
    this.#emit('network', action, id, null, { name, type: 'bridge', ...more })
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #emit(type: string, action: string, id: string, from: string | null, attributes: Labels): void {
    this.#last = Math.max(this.#last + 1000, Date.now() * 1e6)
    const sorted = Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)))
    const event = without(this.dialect.leftOut.event, {
      ...(type === 'network' ? {} : { status: action, id, ...(from === null ? {} : { from }) }),
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: sorted },
      scope: 'local',
      time: Math.floor(this.#last / 1e9),
      timeNano: this.#last,
    })
    this.past.push(event)
    for (const listener of this.#listeners) listener(event)
  }
}

export function matches(event: EngineEvent, filters: Filters): boolean {
  const { ID, Attributes } = event.Actor
  return [...filters].every(([name, values]) => {
    if (name === 'label') return hasLabels(Attributes, values)
    if (name === 'type') return values.includes(event.Type)
    // `health_status` finds `health_status: healthy`, as with the real engine.
    if (name === 'event') return values.some((value) => event.Action.split(':')[0] === value.split(':')[0])
    if (name === 'container') return values.some((value) => value === ID || value === Attributes.name)
    if (name === 'image') return values.includes(Attributes.image ?? Attributes.name ?? '')
    return true
  })
}

/** Each of `key` or `key=value`. */
export function hasLabels(labels: Labels, wanted: readonly string[]): boolean {
  return wanted.every((one) => {
    const [key = '', ...value] = one.split('=')
    return value.length === 0 ? key in labels : labels[key] === value.join('=')
  })
}
