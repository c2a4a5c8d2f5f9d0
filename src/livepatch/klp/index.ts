export { postLink } from './post-link';
export { readKlpObject } from './reader';
export { writeKlpObject } from './writer';
