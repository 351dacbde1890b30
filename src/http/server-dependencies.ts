import type { GraphQLSchema } from 'graphql'
import type { ConnectionLimits } from '../config.js'
import type { Logger } from '../logger.js'
import type { ApiDependencies } from '../resolvers/request-context.js'
import type { TokenCheck } from './access.js'
import type { ConnectionTimes } from './fan-out/client-connection.js'

/** What the routes depend on. */
export interface ServerDependencies {
  readonly api: ApiDependencies
  readonly schema: GraphQLSchema
  readonly isToken: TokenCheck
  readonly logger: Logger
  readonly connections: ConnectionLimits
  /** Addresses and networks of proxies whose word about clients counts; not set: none. */
  readonly trustedProxies?: readonly string[]
  /** Pages of these origins may call the API from a browser. */
  readonly corsOrigins: readonly string[]
  /** Whether a worker lives. */
  readonly absence: { readonly message: string | null }
  /** Whether this process is about to stop: it serves, and is not to be given more; not set: never. */
  readonly isDraining?: () => boolean
  /** Of WebSockets, where other than usual. */
  readonly connectionTimes?: ConnectionTimes
}
