// The script that travels in encrypted archives; these archives were made without it to stay small.
