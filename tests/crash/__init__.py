"""What is left after a crash: processes killed, system calls that fail, power cut off."""
