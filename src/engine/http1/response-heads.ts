/** So large may the headers of an app's answer be: what Node.js takes by itself, 16 KiB, is less than apps with many cookies send. */
export const MAX_RESPONSE_HEAD_BYTES = 64 * 1024
/** Through a router they are larger by what that adds. */
export const MAX_ROUTED_HEAD_BYTES = 2 * MAX_RESPONSE_HEAD_BYTES
