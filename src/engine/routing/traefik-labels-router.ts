import type { Router, ProbeRequest } from './router.js'
import { probeThrough } from './traefik-gateway.js'

/**
 * Traefik by its Docker provider: it reads the labels of the containers that run, so there is nothing to tell it, and
 * nobody knows when it has applied them. The weaker promise: old and new containers of a stage share its traffic from the start of
 * the new ones to the stop of the old ones, and a switch is not a moment. docs/routing.md says what that needs of apps.
 */
export class TraefikLabelsRouter implements Router {
  readonly name = null

  /** @param url Traefik's entry point for HTTP; null: deployments are taken to be reached */
  constructor(private readonly url: string | null) {}

  apply(): Promise<void> {
    return Promise.resolve()
  }

  probe(request: ProbeRequest): Promise<string | null> {
    return this.url === null ? Promise.resolve(null) : probeThrough(this.url, request)
  }

  isRoutedTo(): Promise<null> {
    return Promise.resolve(null)
  }

  hasSwitched(): Promise<boolean> {
    return Promise.resolve(true)
  }

  inFlight(): null {
    return null
  }
}
