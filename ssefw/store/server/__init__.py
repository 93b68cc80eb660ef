"""A store on a MongoDB server: reached, and waited for where it does not answer."""
