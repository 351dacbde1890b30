import { type Store, Value } from './store.js'

const KEY = 'longshore.token'

/** Who is signed in, and if nobody is, why not. */
export interface Access {
  readonly token: string | null
  /** For whoever has to sign in: why they are asked. Null: nobody was signed in. */
  readonly reason: string | null
}

/** A message between tabs of one origin. */
type Message = { readonly kind: 'ask' } | { readonly kind: 'token'; readonly token: string | null }

/**
 * Keeps the token for the browser's session, over reloads and tabs: a new tab asks those that are open. Nothing is written
 * to disk, and the token goes when the last tab is closed.
 */
export class Session {
  readonly #tabs = new BroadcastChannel(KEY)
  readonly #access = new Value<Access>({ token: sessionStorage.getItem(KEY), reason: null })

  constructor() {
    this.#tabs.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.kind === 'token') this.#keep({ token: data.token, reason: null })
      else if (this.token !== null) this.#tell({ kind: 'token', token: this.token })
    }
    if (this.token === null) this.#tell({ kind: 'ask' })
  }

  get access(): Store<Access> {
    return this.#access
  }

  get token(): string | null {
    return this.#access.get().token
  }

  signIn(token: string): void {
    this.#keep({ token, reason: null })
    this.#tell({ kind: 'token', token })
  }

  /** Signs out in all tabs. */
  signOut(reason: string | null = null): void {
    this.#keep({ token: null, reason })
    this.#tell({ kind: 'token', token: null })
  }

  #keep(access: Access): void {
    if (access.token === this.token) return
    if (access.token === null) sessionStorage.removeItem(KEY)
    else sessionStorage.setItem(KEY, access.token)
    this.#access.set(access)
  }

  #tell(message: Message): void {
    this.#tabs.postMessage(message)
  }
}
