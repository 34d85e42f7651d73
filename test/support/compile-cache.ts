export const COMPILE_CACHE = 'TEST_COMPILE_CACHE'

/** The environment variable with which a started process finds the code that Node compiled for an earlier one. */
export function compileCache(): Record<string, string | undefined> {
  return { NODE_COMPILE_CACHE: process.env[COMPILE_CACHE] }
}
