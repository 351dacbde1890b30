import { ApolloClient, ApolloLink } from '@apollo/client'
import { OperationTypeNode } from 'graphql'
import { Arrivals, createOvertakenLink } from './arrivals.js'
import { createCache } from './cache.js'
import { followChanges } from './change-feed.js'
import { createHttpLink, isUnauthorized } from './http-link.js'
import { SERVER_INFO } from './operations.js'
import { ForbiddenError, ResumingLink } from './resuming-link.js'
import { type Access, Session } from './session.js'
import { type ConnectionState, openSocket } from './socket.js'
import type { Store } from './store.js'

/** The change feed begins anew so long after an error that nobody expects. */
const FOLLOW_AGAIN_MS = 5_000

/** A Longshore, for the life of a page. */
export interface Longshore {
  readonly apollo: ApolloClient
  readonly access: Store<Access>
  readonly connection: Store<ConnectionState>
  /** Tries the token, and keeps it for the browser's session. Rejects with a sentence for the user. */
  signIn(token: string): Promise<void>
  signOut(): void
}

/**
 * Connects a page to a Longshore. While somebody is signed in, everything in the cache follows the server's changes.
 *
 * @param url of the server, such as https://deploy.example.com
 */
export function createLongshore(url: string): Longshore {
  const session = new Session()
  const { client: socket, state } = openSocket({
    url: new URL('/graphql', url.replace(/^http/, 'ws')).href,
    token: () => session.token,
  })
  const arrivals = new Arrivals()
  const http = createHttpLink(new URL('/graphql', url).href, session)
  // When the answer is in the cache: what is shown is asked for again.
  const refetch = () => setTimeout(() => void apollo.refetchQueries({ include: 'active' }), 0)
  const apollo = new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new ResumingLink(socket),
      createOvertakenLink(arrivals, refetch).concat(http),
    ),
    cache: createCache(),
    // What is known is shown at once, and asked for again: it may have changed while no screen showed it.
    defaultOptions: { watchQuery: { fetchPolicy: 'cache-and-network', nextFetchPolicy: 'cache-first' } },
  })
  let stop: (() => void) | undefined
  const follow = () => {
    if (session.token === null) return
    const onError = (error: unknown) => {
      if (error instanceof ForbiddenError) session.signOut('The token is no longer valid.')
      // Anew, which fetches what is shown.
      else setTimeout(follow, FOLLOW_AGAIN_MS)
    }
    stop = followChanges(apollo, { arrivals, onError })
  }
  session.access.subscribe(() => {
    stop?.()
    // What comes next has another token, or none.
    socket.terminate()
    void apollo.clearStore()
    follow()
  })
  follow()
  return {
    apollo,
    access: session.access,
    connection: state,
    signOut: () => session.signOut(),
    async signIn(token) {
      await tryToken(apollo, token)
      session.signIn(token)
    },
  }
}

async function tryToken(apollo: ApolloClient, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  try {
    await apollo.query({
      query: SERVER_INFO,
      fetchPolicy: 'no-cache',
      context: { headers, retry: false },
    })
  } catch (error) {
    if (isUnauthorized(error)) throw new Error('This is not the token.', { cause: error })
    throw new Error('Longshore does not answer. Try again in a moment.', { cause: error })
  }
}
