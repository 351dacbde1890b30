import { ApolloLink, CombinedGraphQLErrors, HttpLink, ServerError } from '@apollo/client'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { RetryLink } from '@apollo/client/link/retry'
import { OperationTypeNode } from 'graphql'
import { timeout, TimeoutError } from 'rxjs'
import type { Session } from './session.js'

/** A minute or so: a restart waits half of it for deployments that are under way. */
const ATTEMPTS = 30
const FIRST_WAIT_MS = 250
const LAST_WAIT_MS = 4_000
/** A connection may have gone silent, and the browser would wait for its answer for minutes. */
const QUERY_MS = 10_000
/** Some take their time: to delete an app waits up to 30 s for what runs of it. */
const MUTATION_MS = 60_000

/** Queries and mutations by POST, with the session's token. What can be sent twice is sent again while nothing answers. */
export function createHttpLink(uri: string, session: Session): ApolloLink {
  return ApolloLink.from([
    new ErrorLink(({ error }) => {
      if (isUnauthorized(error) && session.token !== null) session.signOut('The token is no longer valid.')
    }),
    new RetryLink({
      delay: { initial: FIRST_WAIT_MS, max: LAST_WAIT_MS, jitter: true },
      attempts: { max: ATTEMPTS, retryIf: (error, operation) => isOutage(error) && isRepeatable(operation) },
    }),
    new SetContextLink(({ headers }) => ({
      headers: { authorization: `Bearer ${session.token ?? ''}`, ...(headers as object) },
    })),
    timeoutLink,
    new HttpLink({ uri }),
  ])
}

/** Each attempt for itself: what is given up here is sent again, on another connection. */
const timeoutLink = new ApolloLink((operation, forward) => {
  const isQuery = operation.operationType === OperationTypeNode.QUERY
  return forward(operation).pipe(timeout({ first: isQuery ? QUERY_MS : MUTATION_MS }))
})

export function isUnauthorized(error: unknown): boolean {
  if (ServerError.is(error)) return error.statusCode === 401
  if (!CombinedGraphQLErrors.is(error)) return false
  return error.errors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')
}

/** Nobody answered, or somebody in between for a server that does not. */
export function isOutage(error: unknown): boolean {
  if (ServerError.is(error)) return [502, 503, 504].includes(error.statusCode)
  return error instanceof TypeError || error instanceof TimeoutError
}

/** A mutation that got no answer may have been carried out: with a key the second one gives what the first has made. */
function isRepeatable({ operationType, variables, getContext }: ApolloLink.Operation): boolean {
  if (getContext().retry === false) return false
  if (operationType === OperationTypeNode.QUERY) return true
  const { idempotencyKey, input } = variables as {
    idempotencyKey?: string
    input?: { idempotencyKey?: string }
  }
  return Boolean(idempotencyKey ?? input?.idempotencyKey)
}

/** For one intent of a user: pressing a button twice, or sending again after a lost answer, makes one thing. */
export function createIdempotencyKey(): string {
  // crypto.randomUUID is missing where the page is served without TLS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}
