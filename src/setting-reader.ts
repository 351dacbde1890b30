import { isAbsolute } from 'node:path'
import { whyUnusable } from './engine/docker/engine-address.js'
import { isNetwork } from './engine/http1/trusted-proxies.js'

export type Env = Readonly<Record<string, string | undefined>>

/** Thrown once with every bad setting, one line each, so that one start-up shows all of them. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly code = 'BAD_CONFIG'
}

/** Both ends count. */
export interface Range {
  readonly min: number
  readonly max: number
}

/** How many connections may be open at once, in all and from one address (one /64 of IPv6). */
export interface ConnectionLimits {
  readonly total: number
  readonly perAddress: number
}

/**
 * Reads settings one by one and gathers what is wrong with them: a bad one is replaced by its default, and
 * {@link done} throws once for all.
 */
export class SettingReader {
  #problems: string[] = []
  #env: Env

  constructor(env: Env) {
    this.#env = env
  }

  refuse(name: string, why: string): void {
    this.#problems.push(`${name}: ${why}`)
  }

  done(): void {
    if (this.#problems.length > 0) throw new ConfigError(`invalid settings\n  ${this.#problems.join('\n  ')}`)
  }

  /** An empty value counts as not set, as in a .env file with `NAME=`. */
  optional(name: string): string | null {
    return this.#env[name]?.trim() || null
  }

  text(name: string, fallback: string): string {
    return this.optional(name) ?? fallback
  }

  integer(name: string, fallback: number, { min, max }: Range): number {
    const text = this.optional(name)
    if (text === null) return fallback
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    this.refuse(name, `"${text}" is not a whole number from ${min} to ${max}`)
    return fallback
  }

  /** In all by `name`, from one address by `name` and `_PER_ADDRESS`. */
  connections(name: string, total: number, perAddress: number): ConnectionLimits {
    const range = { min: 1, max: 1_000_000 }
    return {
      total: this.integer(name, total, range),
      perAddress: this.integer(`${name}_PER_ADDRESS`, perAddress, range),
    }
  }

  decimal(name: string, fallback: number, { min, max }: Range): number {
    const text = this.optional(name)
    if (text === null) return fallback
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    this.refuse(name, `"${text}" is not a number from ${min} to ${max}`)
    return fallback
  }

  /** The name of an image; `{version}` in it is filled in later. */
  image(name: string, fallback: string): string {
    const text = this.text(name, fallback)
    if (/^[a-z0-9](?:[A-Za-z0-9._/:@-]|\{version\}){0,254}$/.test(text)) return text
    this.refuse(name, `"${text}" is not an image name such as node:{version}-slim`)
    return fallback
  }

  /** A path below something, without a slash at either end. */
  innerPath(name: string, fallback: string): string {
    const text = this.text(name, fallback)
    if (/^[A-Za-z0-9_.:-]+(\/[A-Za-z0-9_.:-]+)*$/.test(text) && !text.split('/').includes('..')) return text
    this.refuse(name, `"${text}" is not a path such as ${fallback}`)
    return fallback
  }

  flag(name: string, fallback: boolean): boolean {
    return this.oneOf(name, ['true', 'false'], fallback ? 'true' : 'false') === 'true'
  }

  oneOf<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.optional(name)
    if (text === null) return fallback
    const found = choices.find((choice) => choice === text.toLowerCase())
    if (!found) this.refuse(name, `"${text}" is not one of ${choices.join(', ')}`)
    return found ?? fallback
  }

  /** Some of `choices`, separated by commas; all of them when it is not set. */
  listOf<T extends string>(name: string, choices: readonly T[]): readonly T[] {
    const text = this.optional(name)
    if (text === null) return choices
    const given = [...new Set(text.split(',').map((one) => one.trim()))]
    const known = given.flatMap((one) => choices.find((choice) => choice === one) ?? [])
    if (known.length !== given.length) this.refuse(name, `"${text}" is not a list of ${choices.join(', ')}`)
    return known
  }

  databaseUrl(name: string): string | null {
    const text = this.optional(name)
    if (text !== null && !/^postgres(ql)?:\/\//.test(text)) this.refuse(name, 'is not a postgres:// URL')
    return text
  }

  dockerHost(name: string): string | null {
    const text = this.optional(name)
    const why = text === null ? null : whyUnusable(text)
    if (why !== null) this.refuse(name, why)
    return text
  }

  domain(name: string, fallback: string): string {
    const text = this.text(name, fallback).toLowerCase()
    if (!/^(?=.{1,190}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(text)) {
      this.refuse(name, `"${text}" is not a domain name`)
    }
    return text
  }

  /** `http://host:port`, without a path. */
  address(name: string): string | null {
    const text = this.optional(name)
    if (text === null) return null
    const bare = /^http:\/\/(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?\/?$/
    if (bare.test(text) && URL.canParse(text)) return new URL(text).origin
    this.refuse(name, `"${text}" is not http://host:port`)
    return null
  }

  /** An `http://` or `https://` address, with or without a path; gives it without a slash at the end. */
  webAddress(name: string): string | null {
    const text = this.optional(name)
    if (text === null) return null
    const bare = /^https?:\/\/(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?(?:\/[\w.~/-]*)?$/
    if (bare.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '')
    this.refuse(name, `"${text}" is not an address such as https://deploy.example.com`)
    return null
  }

  /** Origins, separated by commas: as a browser sends them. */
  origins(name: string): readonly string[] {
    const texts = this.text(name, '').split(',')
    const origins = texts.map((text) => text.trim().replace(/\/$/, '')).filter((text) => text !== '')
    for (const origin of origins) {
      const isOrigin = /^https?:/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin
      if (!isOrigin) this.refuse(name, `"${origin}" is not an origin such as https://app.example.com`)
    }
    return origins
  }

  /** Addresses and networks, separated by commas. */
  networks(name: string): readonly string[] {
    const texts = this.text(name, '').split(',')
    const networks = texts.map((text) => text.trim()).filter((text) => text !== '')
    for (const network of networks) {
      if (!isNetwork(network))
        this.refuse(name, `"${network}" is not an address or network such as 10.0.0.0/8`)
    }
    return networks.filter(isNetwork)
  }

  /** A name in Traefik's configuration. */
  traefikName(name: string): string | null {
    const text = this.optional(name)
    if (text === null || /^[A-Za-z0-9_-]{1,64}$/.test(text)) return text
    this.refuse(name, `"${text}" is not 1 to 64 of letters, digits, - and _`)
    return null
  }

  /** An absolute path. */
  folder(name: string): string | null {
    const text = this.optional(name)
    if (text !== null && !isAbsolute(text)) this.refuse(name, `"${text}" is not an absolute path`)
    return text
  }

  imagePrefix(name: string, fallback: string): string {
    const text = this.text(name, fallback)
    if (!/^[a-z0-9]{1,20}$/.test(text)) this.refuse(name, `"${text}" is not 1 to 20 of a-z and 0-9`)
    return text
  }

  token(name: string): string | null {
    const text = this.optional(name)
    if (text !== null && text.length < 16) this.refuse(name, 'must be 16 characters or more')
    // What follows `Bearer` ends at white space: such a token would never be the one that is sent.
    if (text !== null && /\s/.test(text)) this.refuse(name, 'must not contain whitespace')
    return text
  }

  masterKey(name: string): string | null {
    const text = this.optional(name)
    if (text === null || /^([0-9a-f]{64}|[A-Za-z0-9+/]{43}=)$/i.test(text)) return text
    this.refuse(name, 'must be 32 bytes in hex (64 digits) or base64; make one with: openssl rand -hex 32')
    return null
  }
}
